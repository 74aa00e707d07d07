"""A worker process as its executor sees it: started, given jobs, heard, told to end, buried."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.context import ForkServerContext

import msgspec

from dlp_lab.errors import TimedOut, WorkerLost
from dlp_lab.jobs.exit_status import how_it_ended
from dlp_lab.jobs.fork_server import main_module_left_alone
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_log import JobLog
from dlp_lab.jobs.job_processes import FoundProcess, descendants, end_all, is_stopped
from dlp_lab.jobs.updates import Cancelled, Crashed, Ending, Failed, Hindered, Progress, Update
from dlp_lab.jobs.worker import Kept, Taken, hand_over, worker_main
from dlp_lab.jobs.worker_policy import WorkerPolicy
from dlp_lab.models.registry import models_folder
from dlp_lab.store.workspace import Workspace

_SECONDS_TO_OBEY = 2.0
_SECONDS_FOR_LOG = 1.0
_SECONDS_FOR_LOG_OF_ENDED = 0.1
_SECONDS_BETWEEN_LOOKS = 1.0


class WorkerProcess:
    """A process that runs one job at a time, in a session of its own.

    Attributes:
        job: What it works on; None while it is idle.
        idle_since: Monotonic time.

    Args:
        context: Its fork server.
        workspace: Where its jobs read and write.
        slots: How many jobs may run at once.
        policy: What it may take, and how long it is kept.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, context: ForkServerContext, workspace: Workspace, slots: int, policy: WorkerPolicy) -> None:
        self.job: Job | None = None
        self.idle_since = time.monotonic()
        self._workspace = workspace
        self._log: JobLog | None = None
        self._answer: Ending | None = None
        self._job_seconds: float | None = None
        self._look_at: float | None = None
        self._was_stopped = False
        self._left: set[FoundProcess] = set()
        self._ask_at: float | None = None
        self._kill_at: float | None = None
        self._timed_out = False
        self._context = context
        own, of_worker = context.Pipe(duplex=True)
        self._pipe: connection.Connection | None = own
        try:
            self._process = context.Process(
                target=worker_main,
                args=(of_worker, str(workspace.root), workspace.output, str(models_folder()), slots, policy),
                name="dlp-lab-worker",
            )
            with main_module_left_alone():
                self._process.start()
        except BaseException:
            own.close()
            raise
        finally:
            of_worker.close()

    @property
    def watched(self) -> list[connection.Connection | int]:
        """What becomes readable when there is something to see."""
        return [self._process.sentinel, *([self._pipe] if self._pipe else [])]

    @property
    def deadline(self) -> float | None:
        """Monotonic time when `keep_in_time` has something to do; None while it has not."""
        if self._kill_at is not None:
            return self._kill_at
        return min((at for at in (self._ask_at, self._look_at) if at is not None), default=None)

    @property
    def is_fit(self) -> bool:
        """Whether it is there and can take a job: neither gone nor stopped."""
        pid = self._process.pid
        return self._pipe is not None and not self.has_ended() and pid is not None and not is_stopped(pid)

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return bool(connection.wait([self._process.sentinel], 0))

    def give(self, job: Job, job_seconds: float | None) -> None:
        """Start a job, which may run so long.

        Raises:
            OSError, RuntimeError: It cannot be started here; the process is to be buried.
        """
        assert self._pipe is not None
        reader, writer = self._context.Pipe(duplex=False)
        try:
            log = JobLog(self._workspace.job_log(job.uid), reader)
        except BaseException:
            reader.close()
            writer.close()
            raise
        try:
            hand_over(self._pipe, job, writer)
        finally:
            writer.close()
        self.job, self._log, self._job_seconds = job, log, job_seconds
        self._look_at = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        self._ask_at = None if job_seconds is None else time.monotonic() + job_seconds

    def ask_to_end(self) -> None:
        """It and all it started are told to end, and get some time to."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + _SECONDS_TO_OBEY
            self._look_for_others()
            for process in self._left:
                process.signal(signal.SIGTERM)
            self._signal_group(signal.SIGTERM)
            self._signal_group(signal.SIGCONT)  # who is stopped hears nothing

    def keep_in_time(self) -> None:
        """Ask who has run as long as it may, and make end who was asked long enough ago, or is stopped at the start."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._look_for_others()
                self._signal_group(signal.SIGKILL)
        elif self._ask_at is not None and now >= self._ask_at:
            self._timed_out = True
            self.ask_to_end()
        elif self._look_at is not None and now >= self._look_at:
            self._look_at = now + _SECONDS_BETWEEN_LOOKS
            if self._process.pid is not None and is_stopped(self._process.pid):
                self._was_stopped = True
                self._signal_group(signal.SIGKILL)

    def read(self) -> Iterator[Update]:
        """What the process said: progress; the ending once the process is kept, and else only when it is buried."""
        while self._pipe and self._pipe.poll():
            try:
                word = msgspec.json.decode(self._pipe.recv_bytes(), type=Update | Taken | Kept)
            except (EOFError, OSError, msgspec.DecodeError):
                self._pipe.close()
                self._pipe = None
                return
            if isinstance(word, Progress):
                yield word
            elif isinstance(word, Taken):
                self._look_at = None
            elif not isinstance(word, Kept):
                self._answer = word
            elif self._answer is not None and self._kill_at is None:
                yield self._released(self._answer)

    def _released(self, answer: Ending) -> Ending:
        if self._log:
            self._log.wait(_SECONDS_FOR_LOG)
        self.job = self._log = self._answer = self._ask_at = None
        self.idle_since = time.monotonic()
        return answer

    def bury(self) -> Ending | None:
        """End the process with all it started, and tell how its job ended; None if it had none."""
        pid = self._process.pid
        assert pid is not None
        itself = FoundProcess.of(pid)
        fork_server_died = self.has_ended() and itself is not None  # for it holds the sentinel
        self._look_for_others()
        self._signal_group(signal.SIGKILL)
        self._process.join()
        exit_status = self._process.exitcode
        self._process.close()
        if self._pipe:
            self._pipe.close()
            self._pipe = None
        end_all(self._left | ({itself} if itself else set()))
        if self._log and not self._log.wait(_SECONDS_FOR_LOG_OF_ENDED):
            end_all(self._log.who_prints())
            self._log.wait(_SECONDS_FOR_LOG)
        if self.job is None:
            return None
        return self._answer or self._ending_without_answer(self.job, exit_status, fork_server_died)

    def _ending_without_answer(self, job: Job, exit_status: int | None, fork_server_died: bool) -> Ending:
        if self._timed_out:
            reason = f"the job ran longer than the {self._job_seconds:g} s that a job may run, and was stopped"
            return Failed(job.uid, job.attempts, TimedOut.code, reason)
        if self._kill_at is not None:
            return Cancelled(job.uid, job.attempts)
        if fork_server_died:
            reason = "the process that starts and looks after the workers was ended"
            return Hindered(job.uid, job.attempts, WorkerLost.code, reason)
        ended = how_it_ended("the worker process", exit_status)
        if self._look_at is not None:
            reason = "the worker process was stopped" if self._was_stopped else ended
            return Hindered(job.uid, job.attempts, WorkerLost.code, f"{reason} before it took the job")
        log = self._workspace.job_log_name(job.uid)
        return Crashed(job.uid, job.attempts, f"{ended}; {log} has what it printed")

    def _look_for_others(self) -> None:
        """Note what the job started in sessions of its own, which no signal to the group reaches."""
        if self._process.pid is not None:
            self._left |= descendants(self._process.pid)

    def _signal_group(self, number: signal.Signals) -> None:
        """Reaches the process and all it started."""
        pid = self._process.pid
        assert pid is not None
        try:
            os.killpg(pid, number)
        except (ProcessLookupError, PermissionError):
            # it has ended, or not yet made itself the leader of a group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if not self.has_ended():
                    os.kill(pid, number)
