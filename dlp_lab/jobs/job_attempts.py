"""The dispatcher's half of the queue: claim a job, follow its attempt, record how it ended.

A job is claimed by a change of its state. `attempts` grows with every claim and fences: what an older attempt reports
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_filter import utc_text
from dlp_lab.jobs.job_rows import JobRows, job_of, now

_SECONDS_BEFORE_TRIES = (1, 5, 25, 125)

_Count = Literal["crashes", "hindrances", "server_stops"]
"""Of a job's attempts that ended one way; a column of its row."""


class JobAttempts(JobRows):
    """What the one process calls that holds the dispatcher's lock."""

    def claim_next(self) -> Job | None:
        """The job whose turn it is, now running as a new attempt; None when no job waits."""
        moment = datetime.now(UTC)
        # A moment further away than any delay was set by a clock that has jumped since.
        due = (utc_text(moment), utc_text(moment + timedelta(seconds=max(_SECONDS_BEFORE_TRIES))))
        next_one = (
            "SELECT seq FROM jobs WHERE state = 'queued'"
            " AND (not_before IS NULL OR not_before <= ? OR not_before > ?) ORDER BY priority DESC, seq LIMIT 1"
        )
        if not self._rows(next_one, due):
            return None
        with self._transaction(durable=False):
            rows = self._rows(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, progress = 0, message = 'starting',"
                f" started_at = ?, not_before = NULL, revision = ? WHERE seq = ({next_one}) RETURNING *",
                (now(), self._next_revision(), *due),
            )
            return job_of(rows[0]) if rows else None

    def exchange_message(self, before: str, after: str) -> None:
        """Waiting jobs that say `before` say `after`."""
        same = "state = 'queued' AND message = ?"
        if self._rows(f"SELECT 1 FROM jobs WHERE {same} LIMIT 1", (before,)):
            with self._transaction(durable=False):
                revision = self._next_revision()
                self._rows(f"UPDATE jobs SET message = ?, revision = ? WHERE {same}", (after, revision, before))

    def set_message_of_next(self, message: str) -> None:
        """Let the waiting job that is first in the queue say something."""
        first = "SELECT seq, message FROM jobs WHERE state = 'queued' ORDER BY priority DESC, seq LIMIT 1"
        rows = self._rows(first)
        if rows and rows[0]["message"] != message:
            with self._transaction(durable=False):
                self._rows(
                    "UPDATE jobs SET message = ?, revision = ? WHERE seq = ? AND state = 'queued'",
                    (message, self._next_revision(), rows[0]["seq"]),
                )

    def running(self) -> list[Job]:
        """Jobs that are claimed, oldest first."""
        return [job_of(row) for row in self._rows("SELECT * FROM jobs WHERE state = 'running' ORDER BY seq")]

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

    def put_back(self, uid: str, attempt: int, message: str = "waiting to be started again") -> bool:
        """A running attempt was stopped through no fault of the job: it waits again, or is cancelled if so asked."""
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            self._requeue_or_cancel(uid, message=message)
            return True

    def record_crash(self, uid: str, attempt: int, error_code: str, reason: str, *, attempts_allowed: int) -> bool:
        """An attempt ended without an answer: the job waits again, until `attempts_allowed` attempts ended that way."""
        return self._record_end_without_answer("crashes", uid, attempt, error_code, reason, attempts_allowed)

    def record_server_stop(
        self, uid: str, attempt: int, error_code: str, reason: str, *, attempts_allowed: int
    ) -> bool:
        """The server itself ended during an attempt: the same, in a count of its own, for others may be at fault."""
        return self._record_end_without_answer("server_stops", uid, attempt, error_code, reason, attempts_allowed)

    def _record_end_without_answer(
        self, count: _Count, uid: str, attempt: int, error_code: str, reason: str, attempts_allowed: int
    ) -> bool:
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            (before,) = self._rows(f"SELECT {count} FROM jobs WHERE uid = ?", (uid,))[0]
            if before + 1 < attempts_allowed:
                self._requeue_or_cancel(uid, count)
            else:
                self._end(uid, "failed", reason, error_code)
            return True

    def record_hindrance(self, uid: str, attempt: int, error_code: str, reason: str) -> bool:
        """An attempt failed through no fault of the job: it waits, longer each time, and fails after some tries."""
        with self._transaction():
            if not self._is_running(uid, attempt):
                return False
            (hindrances,) = self._rows("SELECT hindrances FROM jobs WHERE uid = ?", (uid,))[0]
            if hindrances >= len(_SECONDS_BEFORE_TRIES):
                self._end(uid, "failed", f"{reason} ({hindrances + 1} times)", error_code)
                return True
            not_before = datetime.now(UTC) + timedelta(seconds=_SECONDS_BEFORE_TRIES[hindrances])
            message = f"{reason}; tried again at {not_before:%H:%M:%S} UTC"
            self._requeue_or_cancel(uid, "hindrances", message, utc_text(not_before))
            return True

    def _is_running(self, uid: str, attempt: int) -> bool:
        found = self._rows("SELECT 1 FROM jobs WHERE uid = ? AND attempts = ? AND state = 'running'", (uid, attempt))
        return bool(found)

    def _requeue_or_cancel(
        self,
        uid: str,
        count: _Count | None = None,
        message: str = "waiting to be started again",
        not_before: str | None = None,
    ) -> None:
        """The job waits again, if nobody wanted it cancelled meanwhile; `count` grows by the attempt that ended."""
        if self._rows("SELECT 1 FROM jobs WHERE uid = ? AND cancel_requested = 1", (uid,)):
            self._end(uid, "cancelled", "cancelled")
            return
        counted = f" {count} = {count} + 1," if count else ""
        self._rows(
            f"UPDATE jobs SET state = 'queued', progress = 0, message = ?, not_before = ?,{counted} revision = ?"
            " WHERE uid = ?",
            (message, not_before, self._next_revision(), uid),
        )
