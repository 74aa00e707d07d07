"""Jobs in processes of this machine."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess

import msgspec

from dlp_lab.errors import TimedOut
from dlp_lab.jobs.exit_status import how_it_ended
from dlp_lab.jobs.fork_server import main_module_left_alone, prepare_fork_server, refuse_without_files
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_log import JobLog
from dlp_lab.jobs.updates import Cancelled, Crashed, Ending, Failed, Progress, Update
from dlp_lab.jobs.worker import worker_main
from dlp_lab.store.workspace import Workspace

_SECONDS_TO_OBEY = 2.0
_SECONDS_FOR_LOG = 1.0

_log = logging.getLogger(__name__)


@dataclass
class _Worker:
    """A process at work.

    Attributes:
        ask_at: Monotonic time after which it is asked to end, for it has run as long as it may; None for no such time.
        answer: How the job ended, as the process itself says.
        kill_at: Monotonic time after which it is no longer asked to end but made to; None while it may run.
        timed_out: Whether it was asked because its time was over.
    """

    uid: str
    attempt: int
    process: ForkServerProcess
    pipe: connection.Connection | None
    log: JobLog
    ask_at: float | None = None
    answer: Ending | None = None
    kill_at: float | None = None
    timed_out: bool = False

    def ask_to_end(self) -> None:
        """It and all it started are told to end, and get some time to."""
        if self.kill_at is None:
            self.kill_at = time.monotonic() + _SECONDS_TO_OBEY
            self.signal_group(signal.SIGTERM)

    def signal_group(self, number: signal.Signals) -> None:
        """Reaches the process and all it started."""
        pid = self.process.pid
        assert pid is not None
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            # it has ended, or not yet made itself the leader of a group
            with contextlib.suppress(ProcessLookupError):
                if self.process.exitcode is None:
                    os.kill(pid, number)


class LocalExecutor:
    """`Executor` on this machine: a new process for each job, forked from a server that has the libraries loaded.

    POSIX only.

    Args:
        workspace: Where the jobs read and write.
        slots: How many jobs may run at once, at least 1.
        job_seconds: How long an attempt at a job may run; None as long as it takes.
    """

    def __init__(self, workspace: Workspace, slots: int, job_seconds: float | None = None) -> None:
        if slots < 1:
            raise ValueError(f"at least 1 slot is needed; got {slots}")
        self._workspace = workspace
        self._slots = slots
        self._job_seconds = job_seconds
        self._workers: dict[str, _Worker] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._wake_lock = threading.Lock()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._untold: list[Update] = []

    def prepare(self) -> None:
        prepare_fork_server()

    def free_slots(self) -> int:
        return max(0, self._slots - len(self._workers))

    def start(self, job: Job) -> None:
        refuse_without_files()
        self.prepare()
        with contextlib.ExitStack() as unless_started:
            with contextlib.ExitStack() as worker_ends:
                reader, writer = self._context.Pipe(duplex=False)
                unless_started.callback(reader.close)
                worker_ends.callback(writer.close)
                log_reader, log_writer = self._context.Pipe(duplex=False)
                worker_ends.callback(log_writer.close)
                try:
                    log = JobLog(self._workspace.job_log(job.uid), log_reader)
                    process = self._started(job, writer, log_writer)
                except (EOFError, RuntimeError) as error:  # the fork server died; there can be no more threads
                    raise OSError(f"no worker can be started ({type(error).__name__})") from error
            unless_started.pop_all()
        ask_at = None if self._job_seconds is None else time.monotonic() + self._job_seconds
        self._workers[job.uid] = _Worker(job.uid, job.attempts, process, reader, log, ask_at)

    def _started(self, job: Job, writer: connection.Connection, log_writer: connection.Connection) -> ForkServerProcess:
        root, output = str(self._workspace.root), self._workspace.output
        process = self._context.Process(
            target=worker_main,
            args=(writer, log_writer, root, output, msgspec.json.encode(job), self._slots),
            name=f"dlp-lab-job-{job.uid}",
        )
        with main_module_left_alone():
            process.start()
        return process

    def cancel(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker:
            worker.ask_to_end()

    def updates(self, timeout: float) -> list[Update]:
        self._wait(0.0 if self._untold else timeout)
        told, self._untold = self._untold, []
        for worker in list(self._workers.values()):
            # Looked at before the pipe is read: what an ended process wrote is then all there.
            ended = connection.wait([worker.process.sentinel], 0)
            told.extend(self._read_pipe(worker))
            if ended:
                told.append(self._bury(worker))
            elif worker.kill_at is not None:
                if time.monotonic() >= worker.kill_at:
                    worker.signal_group(signal.SIGKILL)
            elif worker.ask_at is not None and time.monotonic() >= worker.ask_at:
                worker.timed_out = True
                worker.ask_to_end()
        return told

    def wake(self) -> None:
        # a full pipe wakes as well as one byte more would
        with self._wake_lock, contextlib.suppress(BlockingIOError):
            if self._wake_writer >= 0:
                os.write(self._wake_writer, b"x")

    def close(self) -> None:
        for uid in list(self._workers):
            self.cancel(uid)
        told: list[Update] = []
        while self._workers:
            told.extend(self.updates(0.1))
        self._untold += told
        with self._wake_lock:
            if self._wake_reader >= 0:
                os.close(self._wake_writer)
                os.close(self._wake_reader)
                self._wake_reader = self._wake_writer = -1

    def _wait(self, timeout: float) -> None:
        watched: list[connection.Connection | int] = [worker.process.sentinel for worker in self._workers.values()]
        watched += [worker.pipe for worker in self._workers.values() if worker.pipe]
        if self._wake_reader >= 0:
            watched.append(self._wake_reader)
        for worker in self._workers.values():
            deadline = worker.ask_at if worker.kill_at is None else worker.kill_at
            if deadline is not None:
                timeout = min(timeout, max(0.01, deadline - time.monotonic()))
        if watched and self._wake_reader in connection.wait(watched, timeout):
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_reader, 4096)

    @staticmethod
    def _read_pipe(worker: _Worker) -> Iterator[Progress]:
        """What the process said; how the job ended is kept until the process is gone."""
        while worker.pipe and worker.pipe.poll():
            try:
                update = msgspec.json.decode(worker.pipe.recv_bytes(), type=Update)
            except (EOFError, OSError, msgspec.DecodeError):
                worker.pipe.close()
                worker.pipe = None
                return
            if isinstance(update, Progress):
                yield update
            else:
                worker.answer = update

    def _bury(self, worker: _Worker) -> Ending:
        del self._workers[worker.uid]
        worker.process.join()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.process.pid or 0, signal.SIGKILL)  # what it started and left behind
        worker.log.wait(_SECONDS_FOR_LOG)
        exit_status = worker.process.exitcode
        worker.process.close()
        if worker.pipe:
            worker.pipe.close()
        if worker.answer:
            return worker.answer
        if worker.timed_out:
            reason = f"the job ran longer than the {self._job_seconds:g} s that a job may run, and was stopped"
            return Failed(worker.uid, worker.attempt, TimedOut.code, reason)
        if worker.kill_at is not None:
            return Cancelled(worker.uid, worker.attempt)
        log = self._workspace.job_log_name(worker.uid)
        ended = how_it_ended("the worker process", exit_status)
        return Crashed(worker.uid, worker.attempt, f"{ended}; {log} has what it printed")
