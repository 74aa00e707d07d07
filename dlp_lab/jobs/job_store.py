"""The queue, as rows of one SQLite file that threads and processes share.

A job is claimed by a change of its state. `attempts` grows with every claim and fences: what an older attempt reports
changes nothing. Order is by `seq`, never by time, for clocks jump. Every change gets the next number of one counter,
the row's `revision`, so that each process can ask what changed since it last looked.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from dlp_lab.errors import JobAlreadyEnded, NoSuchJob
from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.queue_database import FileIdentity, QueueDatabase


class JobStore:
    """All jobs of a workspace.

    Safe for use from several threads and several processes. Additions, cancellations and endings are on the disk when
    the method returns; claims and progress may be lost in a power cut, which does no harm.

    Raises:
        QueueUnusable: The file cannot be opened, is damaged, or was written by a newer version.
        DiskFull: There is no room; any method that writes may raise it.
    """

    def __init__(self, path: Path) -> None:
        self._database = QueueDatabase(path)
        self._rows = self._database.rows
        self._transaction = self._database.transaction

    @property
    def identity(self) -> FileIdentity | None:
        """Of the file that is open; another one when the queue was reopened."""
        return self._database.identity

    def is_in_place(self) -> bool:
        """Whether the open file is still the one at the path."""
        return self._database.is_in_place()

    def reopen(self) -> None:
        """Go on with the file that is at the path now, made anew if there is none; other threads notice nothing."""
        self._database.reopen()

    def close(self) -> None:
        """Close the file. No method may be called afterwards."""
        self._database.close()

    def _next_revision(self) -> int:
        return int(self._rows("UPDATE counter SET revision = revision + 1 RETURNING revision")[0][0])

    # --- asking -------------------------------------------------------------------------------------------------------

    def add(self, request: JobRequest) -> Job:
        """A new job at the end of the queue."""
        uid = secrets.token_hex(16)
        with self._transaction():
            self._rows(
                "INSERT INTO jobs (uid, task, input_dir, params, keep_hdf5, read, output_form, state, submitted_at,"
                " message, revision)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?, 'waiting', ?)",
                (
                    uid,
                    request.task,
                    request.input_dir,
                    msgspec.json.encode(request.params).decode(),
                    int(request.keep_hdf5),
                    msgspec.json.encode(request.read).decode(),
                    request.output_form,
                    _now(),
                    self._next_revision(),
                ),
            )
            return self.get(uid)

    def get(self, uid: str) -> Job:
        """The job of that uid.

        Raises:
            NoSuchJob: There is none.
        """
        rows = self._rows("SELECT * FROM jobs WHERE uid = ?", (uid,))
        if not rows:
            raise NoSuchJob("no job has that uid; the uid is in the answer to the submission")
        return _job(rows[0])

    def newest(self, limit: int) -> list[Job]:
        """The jobs last submitted, newest first."""
        return [_job(row) for row in self._rows("SELECT * FROM jobs ORDER BY seq DESC LIMIT ?", (limit,))]

    def count(self) -> int:
        """How many jobs there are."""
        return int(self._rows("SELECT count(*) FROM jobs")[0][0])

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

    # --- watching -----------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """Number of the latest change."""
        return int(self._rows("SELECT revision FROM counter")[0][0])

    def changed_since(self, revision: int) -> tuple[int, list[Job]]:
        """Jobs that any process changed after `revision`, oldest change first, and the revision they bring."""
        rows = self._rows("SELECT * FROM jobs WHERE revision > ? ORDER BY revision, seq", (revision,))
        return (rows[-1]["revision"] if rows else revision), [_job(row) for row in rows]

    # --- dispatching: called by the one process that holds the dispatcher's lock --------------------------------------

    def claim_next(self) -> Job | None:
        """The job that waits longest, now running as a new attempt; None when no job waits."""
        if not self._rows("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1"):
            return None
        with self._transaction(durable=False):
            rows = self._rows(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, progress = 0, message = 'starting',"
                " started_at = ?, revision = ?"
                " WHERE seq = (SELECT min(seq) FROM jobs WHERE state = 'queued') RETURNING *",
                (_now(), self._next_revision()),
            )
            return _job(rows[0]) if rows else None

    def running(self) -> list[Job]:
        """Jobs that are claimed, oldest first."""
        return [_job(row) for row in self._rows("SELECT * FROM jobs WHERE state = 'running' ORDER BY seq")]

    def cancel_requests(self) -> list[str]:
        """Uids of the running jobs that are to be stopped."""
        rows = self._rows("SELECT uid FROM jobs WHERE state = 'running' AND cancel_requested = 1 ORDER BY seq")
        return [row["uid"] for row in rows]

    def set_progress(self, uid: str, attempt: int, progress: float, message: str) -> bool:
        """Note how far an attempt is. Returns False when it is no longer the job's running attempt."""
        with self._transaction(durable=False):
            if not self._is_running(uid, attempt):
                return False
            self._rows(
                "UPDATE jobs SET progress = ?, revision = ?,"
                " message = CASE WHEN cancel_requested THEN message ELSE ? END WHERE uid = ?",
                (min(max(progress, 0.0), 1.0), self._next_revision(), message, uid),
            )
            return True

    def finish(
        self,
        uid: str,
        attempt: int,
        state: Literal["succeeded", "failed", "cancelled"],
        message: str,
        *,
        error_code: str | None = None,
        output_dir: str | None = None,
        warnings: Sequence[str] = (),
    ) -> bool:
        """Record how an attempt ended. Returns False when it is no longer the job's running attempt."""
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            self._end(uid, state, message, error_code, output_dir, warnings)
            return True

    def put_back(self, uid: str, attempt: int) -> bool:
        """A running attempt was stopped through no fault of the job: it waits again, or is cancelled if so asked."""
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            self._requeue_or_cancel(uid, crashed=False)
            return True

    def record_crash(self, uid: str, attempt: int, error_code: str, reason: str, *, attempts_allowed: int) -> bool:
        """An attempt ended without an answer: the job waits again, until `attempts_allowed` attempts ended that way."""
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            (crashes,) = self._rows("SELECT crashes FROM jobs WHERE uid = ?", (uid,))[0]
            if crashes + 1 < attempts_allowed:
                self._requeue_or_cancel(uid, crashed=True)
            else:
                self._end(uid, "failed", reason, error_code)
            return True

    # --- inside a transaction -----------------------------------------------------------------------------------------

    def _is_running(self, uid: str, attempt: int) -> bool:
        found = self._rows("SELECT 1 FROM jobs WHERE uid = ? AND attempts = ? AND state = 'running'", (uid, attempt))
        return bool(found)

    def _requeue_or_cancel(self, uid: str, *, crashed: bool) -> None:
        if self._rows("SELECT 1 FROM jobs WHERE uid = ? AND cancel_requested = 1", (uid,)):
            self._end(uid, "cancelled", "cancelled")
            return
        self._rows(
            "UPDATE jobs SET state = 'queued', progress = 0, message = 'waiting to be started again',"
            " crashes = crashes + ?, revision = ? WHERE uid = ?",
            (int(crashed), self._next_revision(), uid),
        )

    def _end(
        self,
        uid: str,
        state: Literal["succeeded", "failed", "cancelled"],
        message: str,
        error_code: str | None = None,
        output_dir: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self._rows(
            "UPDATE jobs SET state = ?, message = ?, error_code = ?, output_dir = ?, warnings = ?, ended_at = ?,"
            " progress = CASE WHEN ? THEN 1 ELSE progress END, revision = ? WHERE uid = ?",
            (
                state,
                message,
                error_code,
                output_dir,
                msgspec.json.encode(list(warnings)).decode(),
                _now(),
                int(state == "succeeded"),
                self._next_revision(),
                uid,
            ),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in Job.__struct_fields__}
    for name in ("params", "warnings", "read"):
        values[name] = msgspec.json.decode(values[name])
    values["keep_hdf5"] = bool(values["keep_hdf5"])
    return msgspec.convert(values, Job)
