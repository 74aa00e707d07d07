"""Requests that wait for the ending of a job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from dlp_lab.jobs.job import Job


class JobEndings:
    """Tells those who wait for a job that it has ended.

    Args:
        loop: The server's loop, in which they wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._awaited: dict[str, set[asyncio.Future[None]]] = {}

    def job_changed(self, job: Job) -> None:
        """A listener for `JobService`; called from any thread."""
        if job.ended and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, job.uid)

    @contextlib.contextmanager
    def watched(self, uid: str) -> Iterator[asyncio.Future[None]]:
        """What is done when the job ends, from now on; who looks at the job inside the block misses nothing."""
        ending = self._loop.create_future()
        self._awaited.setdefault(uid, set()).add(ending)
        try:
            yield ending
        finally:
            ending.cancel()
            waiting = self._awaited.get(uid, set())
            waiting.discard(ending)
            if not waiting:
                self._awaited.pop(uid, None)

    def let_all_go(self) -> None:
        """Nobody waits any more: the server is about to stop."""
        for uid in list(self._awaited):
            self._tell(uid)

    def _tell(self, uid: str) -> None:
        for ending in self._awaited.pop(uid, ()):
            if not ending.done():
                ending.set_result(None)
