"""Job changes on Jupyter's event bus, over the socket that JupyterLab has open anyway."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from jupyter_events import EventLogger

from dlp_lab.jobs.job import Job, JobEvent, JobState

JOB_EVENT_SCHEMA_ID = "https://schema.dlp-lab.org/job/v1"

_SECONDS_BETWEEN_PROGRESS = 0.2
_SECONDS_BETWEEN_NAMELESS_PROGRESS = 2.0


def job_event_schema() -> dict[str, Any]:
    """Schema of the event, in the form `jupyter_events` wants."""
    schema = msgspec.json.schema(JobEvent)
    own = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return {
        "$id": JOB_EVENT_SCHEMA_ID,
        "version": "1",
        "title": "dlp-lab job change",
        "description": "A job of dlp-lab changed its state or made progress.",
        "type": "object",
        "properties": {
            name: {"title": name, "description": f"`{name}` of the job.", **rule}
            for name, rule in own["properties"].items()
        },
        "required": own["required"],
        "additionalProperties": False,
    }


class JobEvents:
    """Emits a `JobEvent` for each change of state, and for progress a few times a second.

    Args:
        event_logger: The server's event bus.
        loop: The server's loop, from which alone the bus may be used.
        nameless: Whether events only say that something has changed: the bus brings all of them to all users. Each
            client then asks for the jobs that its user may see, so progress is told less often.
    """

    def __init__(self, event_logger: EventLogger, loop: asyncio.AbstractEventLoop, *, nameless: bool = False) -> None:
        event_logger.register_event_schema(job_event_schema())
        self._event_logger = event_logger
        self._loop = loop
        self._nameless = nameless
        self._nameless_progress_at = 0.0
        self._last_emitted: dict[str, tuple[JobState, float]] = {}

    def job_changed(self, job: Job) -> None:
        """A listener for `JobService`; called from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._emit, job)

    def _emit(self, job: Job) -> None:
        now = time.monotonic()
        state, emitted_at = self._last_emitted.get(job.uid, (None, 0.0))
        if state == job.state and now - emitted_at < _SECONDS_BETWEEN_PROGRESS:
            return
        if job.ended:
            self._last_emitted.pop(job.uid, None)
        else:
            self._last_emitted[job.uid] = job.state, now
        event = JobEvent(uid=job.uid, state=job.state, progress=job.progress)
        if self._nameless:
            if state == job.state:
                if now - self._nameless_progress_at < _SECONDS_BETWEEN_NAMELESS_PROGRESS:
                    return
                self._nameless_progress_at = now
            event = JobEvent(uid=None, state=None, progress=None)
        self._event_logger.emit(schema_id=JOB_EVENT_SCHEMA_ID, data=msgspec.to_builtins(event))
