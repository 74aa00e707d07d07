"""The queue, as rows of one SQLite file that threads and processes share.

Order is by priority and `seq`, never by time, for clocks jump. Every change gets the next number of one counter, the
row's `revision`, so that each process can ask what changed since it last looked.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from dlp_lab.errors import IdempotencyKeyReused, JobAlreadyEnded, JobNotEnded, JobNotFailed, QueueFull
from dlp_lab.jobs.job import JOB_STATES, GroupCounts, Job, JobRequest, JobState, checked_key
from dlp_lab.jobs.job_attempts import JobAttempts
from dlp_lab.jobs.job_filter import ALL_JOBS, JobFilter, utc_text
from dlp_lab.jobs.job_rows import job_of, now
from dlp_lab.jobs.job_times import with_times

_QUEUED = JobFilter(states=("queued",))


@dataclass(frozen=True)
class IdempotencyKey:
    """What a client names a submission by, so that it can send it again without a second job.

    Attributes:
        key: As the client sends it.
        request_sha256: Of the request, as it came: the same key with another request is a client's mistake.
        owner: Whose key it is; another user's same key is another one.
    """

    key: str
    request_sha256: str
    owner: str | None = None

    @classmethod
    def of(cls, key: str, request: JobRequest, owner: str | None = None) -> IdempotencyKey:
        """The key that came with a request.

        Raises:
            MalformedRequest: It is none; see `checked_key`.
        """
        asked = msgspec.to_builtins(request)
        if request.group is None:
            del asked["group"]  # keys of older versions, which knew no groups, stay what they are
        return cls(checked_key(key), hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest(), owner)


class JobStore(JobAttempts):
    """All jobs of a workspace.

    Safe for use from several threads and several processes. Additions, cancellations and endings are on the disk when
    the method returns; claims and progress may be lost in a power cut, which does no harm.

    Raises:
        QueueUnusable: The file cannot be opened, is damaged, or was written by a newer version.
        DiskFull: There is no room; any method that writes may raise it.
    """

    def add(
        self,
        request: JobRequest,
        key: IdempotencyKey | None = None,
        *,
        owner: str | None = None,
        max_queued: int | None = None,
        max_queued_of_owner: int | None = None,
    ) -> Job:
        """A new job at the end of the queue, or the one that came with the same key before.

        Args:
            request: What is asked.
            key: By which a client that got no answer can ask again without a second job.
            owner: Who asks, if they said who they are.
            max_queued, max_queued_of_owner: How many jobs may wait, of all and of this owner.

        Raises:
            QueueFull: As many wait already.
            IdempotencyKeyReused: The key came with another request.
        """
        uid = secrets.token_hex(16)
        with self._transaction():
            if key is not None and (earlier := self.submitted_with(key)):
                return earlier
            self.refuse_when_full(max_queued, owner, max_queued_of_owner)
            self._rows(
                "INSERT INTO jobs (uid, task, input_dir, params, keep_hdf5, read, priority, output_form,"
                ' "group", idempotency_key, request_sha256, owner, state, submitted_at, message, revision)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, 'waiting', ?)",
                (
                    uid,
                    request.task,
                    request.input_dir,
                    msgspec.json.encode(request.params).decode(),
                    int(request.keep_hdf5),
                    msgspec.json.encode(request.read).decode(),
                    request.priority,
                    request.output_form,
                    request.group,
                    key and key.key,
                    key and key.request_sha256,
                    owner,
                    now(),
                    self._next_revision(),
                ),
            )
            return self.get(uid)

    def submitted_with(self, key: IdempotencyKey) -> Job | None:
        """The job that came with this key, if any.

        Raises:
            IdempotencyKeyReused: It came with another request.
        """
        rows = self._rows(
            "SELECT uid, request_sha256 FROM jobs WHERE idempotency_key = ? AND ifnull(owner, '') = ?",
            (key.key, key.owner or ""),
        )
        if not rows:
            return None
        if rows[0]["request_sha256"] != key.request_sha256:
            raise IdempotencyKeyReused(
                "the idempotency key came before, with another request; send a new key with each new job"
            )
        return self.get(rows[0]["uid"])

    def newest(self, limit: int, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> list[Job]:
        """The jobs last submitted, newest first.

        Args:
            limit: How many at most.
            wanted: Which jobs.
            before: Only jobs that were submitted before the one of this uid.

        Raises:
            NoSuchJob: There is no job of the uid `before`.
        """
        condition, values = self._condition(wanted, before)
        rows = self._rows(f"SELECT * FROM jobs WHERE {condition} ORDER BY seq DESC LIMIT ?", (*values, limit))
        moment = datetime.now(UTC)
        jobs = [with_times(job_of(row), moment) for row in rows]
        if msgspec.structs.replace(wanted, states=()) == ALL_JOBS:
            return self._with_positions(jobs)
        return self._with_positions_of_some(jobs)

    def _with_positions_of_some(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs among which some are left out, with their places in the queue."""
        if not any(job.state == "queued" for job in jobs):
            return list(jobs)
        rows = self._rows(
            "SELECT uid, row_number() OVER (ORDER BY priority DESC, seq) AS position FROM jobs WHERE state = 'queued'"
        )
        positions = {row["uid"]: row["position"] for row in rows}
        return [msgspec.structs.replace(job, position=positions.get(job.uid)) for job in jobs]

    def _with_positions(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that were submitted one after the other, newest first, with their places in the queue."""
        placed: list[Job] = []
        last: dict[int, int] = {}  # of each priority, for those behind are next in line
        for job in reversed(jobs):
            if job.state == "queued":
                position = 1 + (last[job.priority] if job.priority in last else self._ahead_of(job.uid))
                last[job.priority] = position
                job = msgspec.structs.replace(job, position=position)
            placed.append(job)
        return placed[::-1]

    def count(self, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> int:
        """How many jobs there are that `newest` would list without a limit."""
        condition, values = self._condition(wanted, before)
        return int(self._rows(f"SELECT count(*) FROM jobs WHERE {condition}", values)[0][0])

    def count_by_state(self) -> dict[JobState, int]:
        """How many jobs there are in each state."""
        counts: dict[JobState, int] = dict.fromkeys(JOB_STATES, 0)
        for row in self._rows("SELECT state, count(*) AS jobs FROM jobs GROUP BY state"):
            counts[row["state"]] = row["jobs"]
        return counts

    def count_groups(self, groups: Collection[str], wanted: JobFilter = ALL_JOBS) -> list[GroupCounts]:
        """How many of the wanted jobs there are in each state, for each of some groups that has any."""
        if not groups:
            return []
        condition, values = wanted.condition()
        rows = self._rows(
            f'SELECT "group", state, count(*) AS jobs FROM jobs WHERE "group" IN ({", ".join("?" * len(groups))})'
            f' AND {condition} GROUP BY "group", state',
            (*groups, *values),
        )
        counts: dict[str, dict[str, int]] = {}
        for row in rows:
            counts.setdefault(row["group"], {})[row["state"]] = row["jobs"]
        return [GroupCounts(group=group, **states) for group, states in counts.items()]

    def _condition(self, wanted: JobFilter, before: str | None) -> tuple[str, list[object]]:
        condition, values = wanted.condition()
        if before is not None:
            condition += " AND seq < ?"
            values += self._existing(before, "seq")
        return condition, values

    def request_cancel(self, uid: str) -> Job:
        """A waiting job is cancelled at once; a running one is marked, for the dispatcher to stop.

        Raises:
            NoSuchJob: There is no such job.
            JobAlreadyEnded: It has ended.
        """
        with self._transaction():
            job = self.get(uid)
            if job.ended:
                raise JobAlreadyEnded(f"the job has already {'been ' * (job.state == 'cancelled')}{job.state}")
            if job.state == "queued":
                self._end(uid, "cancelled", "cancelled before it started")
            else:
                self._rows(
                    "UPDATE jobs SET cancel_requested = 1, message = 'being cancelled', revision = ? WHERE uid = ?",
                    (self._next_revision(), uid),
                )
            return self.get(uid)

    def retry(self, uid: str, *, max_queued: int | None = None, max_queued_of_owner: int | None = None) -> Job:
        """A job that failed or was cancelled waits again, at the place in the queue that its submission gave it.

        Raises:
            NoSuchJob: There is no such job.
            JobNotFailed: It waits, runs or has succeeded.
            QueueFull: As many jobs wait as may.
        """
        with self._transaction():
            job = self.get(uid)
            if job.state not in ("failed", "cancelled"):
                raise JobNotFailed(f"the job is {job.state}; only one that failed or was cancelled can be tried again")
            self.refuse_when_full(max_queued, job.owner, max_queued_of_owner)
            self._rows(
                "UPDATE jobs SET state = 'queued', progress = 0, message = 'waiting', error_code = NULL,"
                " warnings = '[]', started_at = NULL, ended_at = NULL, crashes = 0, hindrances = 0,"
                " server_stops = 0, not_before = NULL, cancel_requested = 0, revision = ?"
                " WHERE uid = ?",
                (self._next_revision(), uid),
            )
            return self.get(uid)

    def remove(self, uid: str) -> None:
        """Forget a job that has ended.

        Raises:
            NoSuchJob: There is no such job.
            JobNotEnded: It waits or runs.
        """
        with self._transaction():
            job = self.get(uid)
            if not job.ended:
                raise JobNotEnded(f"the job is {job.state}; cancel it, then remove it")
            self._rows("DELETE FROM jobs WHERE uid = ?", (uid,))

    def ended_before(self, when: datetime) -> list[Job]:
        """Jobs that ended before a moment, oldest first."""
        rows = self._rows(
            "SELECT * FROM jobs WHERE state IN ('succeeded', 'failed', 'cancelled') AND ended_at < ? ORDER BY seq",
            (utc_text(when),),
        )
        return [job_of(row) for row in rows]

    # --- watching -----------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """Number of the latest change."""
        return int(self._rows("SELECT revision FROM counter")[0][0])

    def changed_since(self, revision: int, at_once: int | None = None) -> tuple[int, list[Job]]:
        """Jobs that any process changed after `revision`, oldest change first, and the revision they bring.

        Args:
            revision: What is known already.
            at_once: How many at a time, and those that changed together with the last of them; None for all.
        """
        last = "9223372036854775807"
        if at_once is not None:
            of_last = f"SELECT revision FROM jobs WHERE revision > ?1 ORDER BY revision LIMIT 1 OFFSET {at_once - 1}"
            last = f"coalesce(({of_last}), {last})"
        rows = self._rows(
            f"SELECT * FROM jobs WHERE revision > ?1 AND revision <= {last} ORDER BY revision, seq", (revision,)
        )
        return (rows[-1]["revision"] if rows else revision), [job_of(row) for row in rows]

    def refuse_when_full(
        self, max_queued: int | None, owner: str | None = None, max_queued_of_owner: int | None = None
    ) -> None:
        """Refuse what comes now, if as many jobs wait already as may, of all or of one owner; None allows any number.

        Raises:
            QueueFull: They do.
        """
        if max_queued is not None and self.count(_QUEUED) >= max_queued:
            raise QueueFull(f"{max_queued} jobs are waiting, as many as may; submit again when some have been done")
        if max_queued_of_owner is not None and owner is not None and self._queued_of(owner) >= max_queued_of_owner:
            raise QueueFull(
                f"{max_queued_of_owner} jobs of yours are waiting, as many as a user may have; submit again when some "
                "have been done"
            )

    def _queued_of(self, owner: str) -> int:
        return int(self._rows("SELECT count(*) FROM jobs WHERE owner = ? AND state = 'queued'", (owner,))[0][0])
