"""The queue's rows as jobs: opened and closed, found, ended. What all parts of `JobStore` stand on."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from dlp_lab.errors import NoSuchJob, QueueUnusable
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_filter import utc_text
from dlp_lab.jobs.job_times import with_times
from dlp_lab.jobs.queue_database import FileIdentity, QueueDatabase


class JobRows:
    """The database of a queue, row by row."""

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

    def get(self, uid: str) -> Job:
        """The job of that uid.

        Raises:
            NoSuchJob: There is none.
        """
        job = job_of(self._existing(uid, "*"))
        if job.state != "queued":
            return with_times(job, datetime.now(UTC))
        return msgspec.structs.replace(job, position=1 + self._ahead_of(uid))

    def _ahead_of(self, uid: str) -> int:
        """How many jobs start before a waiting one."""
        rows = self._rows(
            "SELECT count(*) FROM jobs, (SELECT priority AS own, seq AS place FROM jobs WHERE uid = ?)"
            " WHERE state = 'queued' AND (priority > own OR (priority = own AND seq < place))",
            (uid,),
        )
        return int(rows[0][0])

    def _existing(self, uid: str, columns: str) -> sqlite3.Row:
        # what is typed may be no text at all, which SQLite is not asked for
        rows = self._rows(f"SELECT {columns} FROM jobs WHERE uid = ?", (uid,)) if uid.isascii() else []
        if not rows:
            raise NoSuchJob("no job has that uid; the uid is in the answer to the submission")
        return rows[0]

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
                now(),
                int(state == "succeeded"),
                self._next_revision(),
                uid,
            ),
        )


def now() -> str:
    """This moment."""
    return utc_text(datetime.now(UTC))


def job_of(row: sqlite3.Row) -> Job:
    """A row as a job; its place in the queue is known only where it was asked for.

    Raises:
        QueueUnusable: The row is damaged, where SQLite has no means to see that.
    """
    names = set(row.keys()) & set(Job.__struct_fields__)
    values = {name: row[name] for name in names}
    try:
        for name in ("params", "warnings", "read"):
            values[name] = msgspec.json.decode(values[name])
        values["keep_hdf5"] = bool(values["keep_hdf5"])
        return msgspec.convert(values, Job)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise QueueUnusable(
            f"the record of job {row['seq']} is damaged ({error}); move the queue elsewhere to start with an empty one"
        ) from None
