"""An executor that any thread may use."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from dlp_lab.errors import WorkerLost
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Hindered, Update

_POLL_SECONDS = 1.0


class ExecutorThread:
    """A thread that drives an executor, for others that start and cancel jobs.

    Args:
        executor: Is closed with this.
        tell: Called from the thread with whatever the executor tells; must not raise.
    """

    def __init__(self, executor: Executor, tell: Callable[[Update], None]) -> None:
        self._executor = executor
        self._tell = tell
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="dlp-lab-executor", daemon=True)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Start a job. What hinders it is told as its ending."""
        self._ask(lambda: self._start(job))

    def cancel(self, uid: str) -> None:
        """Ask for a job's end; see `Executor.cancel`."""
        self._ask(lambda: self._executor.cancel(uid))

    def close(self) -> None:
        """Stop all jobs, and tell their endings; waits for it, a few seconds."""
        self._closing.set()
        self._executor.wake()
        self._thread.join()

    def _ask(self, action: Callable[[], None]) -> None:
        self._asked.put(action)
        self._executor.wake()

    def _start(self, job: Job) -> None:
        try:
            self._executor.start(job)
        except OSError as error:
            reason = f"no process could be started for the job ({error.strerror or type(error).__name__})"
            self._tell(Hindered(job.uid, job.attempts, WorkerLost.code, reason))

    def _work(self) -> None:
        with contextlib.suppress(OSError):  # a job that is started prepares it again, and tells why it cannot be
            self._executor.prepare()
        while not self._closing.is_set():
            self._tell_all(_POLL_SECONDS)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._asked.get_nowait()()
        self._executor.close()
        self._tell_all(0)

    def _tell_all(self, timeout: float) -> None:
        for update in self._executor.updates(timeout):
            self._tell(update)
