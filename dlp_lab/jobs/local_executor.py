"""Jobs in processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from multiprocessing import connection

from dlp_lab.jobs.fork_server import prepare_fork_server, refuse_where_none_starts
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Ending, Update
from dlp_lab.jobs.worker_policy import DEFAULT_POLICY, WorkerPolicy
from dlp_lab.jobs.worker_process import WorkerProcess
from dlp_lab.store.workspace import Workspace


class LocalExecutor:
    """`Executor` on this machine: a process for each slot, forked from a server that has the libraries loaded.

    A process runs one job at a time. It is kept for the next one, with what it has loaded, where the job left it as it
    was (`process_state.py` says what is compared) and had an ending that a task may have; after a cancellation, a
    crash, a timeout or an unexpected error there is a new one. The ending of a job is told when its process has been
    found clean, or is gone.

    POSIX only.

    Args:
        workspace: Where the jobs read and write.
        slots: How many jobs may run at once, at least 1.
        job_seconds: How long an attempt at a job may run; None as long as it takes.
        policy: What a process may take, and how long it is kept.
    """

    def __init__(
        self,
        workspace: Workspace,
        slots: int,
        job_seconds: float | None = None,
        policy: WorkerPolicy = DEFAULT_POLICY,
    ) -> None:
        if slots < 1:
            raise ValueError(f"at least 1 slot is needed; got {slots}")
        self._workspace = workspace
        self._slots = slots
        self._job_seconds = job_seconds
        self._policy = policy
        self._busy: dict[str, WorkerProcess] = {}
        self._idle: list[WorkerProcess] = []
        self._context = multiprocessing.get_context("forkserver")
        self._wake_lock = threading.Lock()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._untold: list[Update] = []

    def prepare(self) -> None:
        with contextlib.suppress(OSError):  # told by `start`, to the job that waits for it
            prepare_fork_server()

    def free_slots(self) -> int:
        return max(0, self._slots - len(self._busy))

    def trouble(self) -> None:
        """None: what keeps a process from being started is told by `start`."""

    def start(self, job: Job) -> None:
        refuse_where_none_starts()
        prepare_fork_server()
        while self._idle:
            worker = self._idle.pop()  # the one that was at work last: the others come to their end
            if worker.is_fit and self._given(worker, job):
                return
            worker.bury()
        try:
            worker = WorkerProcess(self._context, self._workspace, self._slots, self._policy)
        except (EOFError, RuntimeError) as error:  # the fork server died
            raise OSError(f"no worker can be started ({type(error).__name__})") from error
        if not self._given(worker, job):
            worker.bury()
            raise OSError("a worker was started, but took no job")

    def _given(self, worker: WorkerProcess, job: Job) -> bool:
        try:
            worker.give(job, self._job_seconds)
        except (OSError, RuntimeError):  # it ended just now; there can be no more threads
            return False
        self._busy[job.uid] = worker
        return True

    def cancel(self, uid: str) -> None:
        worker = self._busy.get(uid)
        if worker:
            worker.ask_to_end()

    def updates(self, timeout: float) -> list[Update]:
        self._wait(0.0 if self._untold else timeout)
        told, self._untold = self._untold, []
        for uid, worker in list(self._busy.items()):
            # Looked at before the pipe is read: what an ended process wrote is then all there.
            ended = worker.has_ended()
            told.extend(worker.read())
            if worker.job is None:
                del self._busy[uid]
                self._idle.append(worker)
            elif ended:
                told.append(self._buried(uid, worker))
            else:
                worker.keep_in_time()
        self._close_idle(time.monotonic() - self._policy.idle_seconds)
        return told

    def _buried(self, uid: str, worker: WorkerProcess) -> Ending:
        del self._busy[uid]
        ending = worker.bury()
        assert ending is not None, "it had a job"
        return ending

    def _close_idle(self, since_before: float) -> None:
        for worker in list(self._idle):
            if worker.idle_since < since_before or worker.has_ended():
                self._idle.remove(worker)
                worker.bury()

    def wake(self) -> None:
        # a full pipe wakes as well as one byte more would
        with self._wake_lock, contextlib.suppress(BlockingIOError):
            if self._wake_writer >= 0:
                os.write(self._wake_writer, b"x")

    def close(self) -> None:
        for uid in list(self._busy):
            self.cancel(uid)
        told: list[Update] = []
        while self._busy:
            told.extend(self.updates(0.1))
        self._untold += told
        self._close_idle(float("inf"))
        with self._wake_lock:
            if self._wake_reader >= 0:
                os.close(self._wake_writer)
                os.close(self._wake_reader)
                self._wake_reader = self._wake_writer = -1

    def _wait(self, timeout: float) -> None:
        watched: list[connection.Connection | int] = []
        for worker in self._busy.values():
            watched += worker.watched
            if worker.deadline is not None:
                timeout = min(timeout, max(0.01, worker.deadline - time.monotonic()))
        if self._wake_reader >= 0:
            watched.append(self._wake_reader)
        if watched and self._wake_reader in connection.wait(watched, timeout):
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_reader, 4096)
