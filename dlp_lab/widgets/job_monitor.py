"""The queue in a notebook: what waits, runs and has ended, as it changes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from dlp_lab.errors import DlpError, MalformedRequest
from dlp_lab.jobs.handle import job_service
from dlp_lab.jobs.job import Job
from dlp_lab.store.workspace import Workspace
from dlp_lab.widgets.message_widget import MessageWidget, script
from dlp_lab.widgets.newest_request import NewestRequest, Turn

_SECONDS_BETWEEN_LOOKS = 0.5


class JobMonitor(MessageWidget):
    """A live table of the newest jobs, with buttons that cancel them or try them again.

    It looks at the queue from a thread, from when it is first shown until it is closed. Names of folders are shown, and
    not kept in the notebook.

    Args:
        root: Of the queue; `$DLP_LAB_ROOT` or the current folder by default.
        limit: How many jobs it shows.

    Raises:
        MalformedRequest: The limit is less than 1.
    """

    _esm = script("job_monitor")

    def __init__(self, *, root: Path | str | None = None, limit: int = 10) -> None:
        if limit < 1:
            raise MalformedRequest(f"limit is at least 1; got {limit}")
        self._workspace = Workspace.from_environment(root)
        self._limit = limit
        super().__init__()
        self._looks = NewestRequest(self._follow, "dlp-monitor")

    def heard(self, content: dict[str, Any]) -> None:
        match content:
            case {"type": "ready"}:
                self._looks.ask("jobs")
            case {"type": "cancel" | "retry" as verb, "uid": str(uid)}:
                threading.Thread(target=self._act, args=(verb, uid), name="dlp-monitor-act", daemon=True).start()

    def release(self) -> None:
        self._looks.close()

    def _act(self, verb: str, uid: str) -> None:
        service = job_service(self._workspace)
        try:
            if verb == "cancel":
                service.cancel(uid)
            else:
                service.retry(uid)
        except DlpError as error:
            self.send({"type": "refused", "message": str(error)})

    def _follow(self, _: str, turn: Turn) -> None:
        told = None
        while not turn.is_stale():
            content, seen = self._look()
            if seen != told:
                told = seen
                self.tell("jobs", content)
            turn.pause(_SECONDS_BETWEEN_LOOKS)

    def _look(self) -> tuple[dict[str, Any], object]:
        """What is to be told of the queue now, and what of it is news when it changes."""
        try:
            page = job_service(self._workspace).newest(self._limit)
        except DlpError as error:  # such as a disk that is full for the moment
            return {"type": "refused", "message": str(error)}, str(error)
        content = {"type": "jobs", "jobs": msgspec.to_builtins(page.jobs), "older": page.older}
        return content, (page.older, [_without_clock(job) for job in page.jobs])


def _without_clock(job: Job) -> Job:
    """A job without what grows by itself, which the browser counts on."""
    return msgspec.structs.replace(job, elapsed_seconds=None, seconds_left=None)
