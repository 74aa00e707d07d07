"""A queue with many jobs in no time."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from dlp_lab.jobs.job import JobRequest, JobState
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace


def fill_queue(
    workspace: Workspace,
    count: int,
    states: Sequence[JobState] = ("cancelled",),
    group: str | None = None,
    of_group: range = range(0),
) -> None:
    """Make a queue of so many jobs that have ended: one that was added as any other, and copies of its row.

    Args:
        workspace: Its root exists; it has no queue yet.
        count: How many jobs, at least 1.
        states: Those of the copies, in turn.
        group, of_group: The group of some copies, and their numbers, of which the first is 2.
    """
    workspace.create()
    with closing(JobStore(workspace.queue_database)) as store:
        store.request_cancel(store.add(JobRequest(task="3dblur", input_dir="cases/1")).uid)
    with closing(sqlite3.connect(workspace.queue_database)) as database, database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM jobs").fetchone())
        del row["seq"]
        names, places = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        copies = (
            {
                **row,
                "uid": secrets.token_hex(16),
                "input_dir": f"cases/{number}",
                "state": states[number % len(states)],
                "group": group if number in of_group else None,
                "message": "slices are missing between slice 4 and slice 5" if number % 3 == 1 else "done",
            }
            for number in range(2, count + 1)
        )
        database.executemany(f"INSERT INTO jobs ({names}) VALUES ({places})", (tuple(copy.values()) for copy in copies))
