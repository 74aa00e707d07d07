"""The queue, as rows of one SQLite file that threads and processes share.

Order is by priority and `seq`, never by time, for clocks jump. Every change gets the next number of one counter, the
row's `revision`, so that each process can ask what changed since it last looked.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import msgspec

from dlp_lab.errors import IdempotencyKeyReused, JobAlreadyEnded, JobNotEnded, JobNotFailed, QueueFull
from dlp_lab.jobs.job import Job, JobRequest, checked_key
from dlp_lab.jobs.job_attempts import JobAttempts
from dlp_lab.jobs.job_filter import JobFilter, utc_text
from dlp_lab.jobs.job_listings import JobListings
from dlp_lab.jobs.job_rows import job_of, now

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


class JobStore(JobAttempts, JobListings):
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
        kept = "SELECT ifnull(sum(jobs), 0) FROM job_counts WHERE owner = ? AND state = 'queued'"
        return int(self._rows(kept, (owner,))[0][0])
