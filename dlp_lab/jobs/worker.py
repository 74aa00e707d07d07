"""The process of jobs: made quiet, mortal and talkative, then given one after the other for `run_job`."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import faulthandler
import gc
import logging
import math
import multiprocessing
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from dlp_lab.errors import (
    DiskFull,
    DlpError,
    JobCancelled,
    printable,
)
from dlp_lab.jobs.earlier_attempt import wait_for_earlier_attempt
from dlp_lab.jobs.foreign_errors import ending_of_foreign
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_processes import descendants, end_all
from dlp_lab.jobs.process_state import ProcessWatch, adopt_orphans, end_children
from dlp_lab.jobs.updates import Cancelled, Ending, Failed, Hindered, Progress, Succeeded, Update
from dlp_lab.jobs.worker_policy import WorkerPolicy
from dlp_lab.models.registry import MODELS_VARIABLE
from dlp_lab.processors import threads_to_use
from dlp_lab.store.workspace import Workspace

_SECONDS_TO_TAKE_A_JOB = 5
_SECONDS_BETWEEN_REPORTS = 0.2


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """First word of the pipe about a job: it is begun."""


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """Word of the pipe after an ending: the process is as it was before the job, and takes another."""


def worker_main(connection: Connection, root: str, output: str, models: str, slots: int, policy: WorkerPolicy) -> None:
    """Entry of the process. Takes jobs, one after the other, as `hand_over` sends them.

    Sends JSON: of each job `Taken`, then `Update`s, of which an ending is the last; then `Kept`, or it ends.

    Args:
        connection: The worker's end of a two-way pipe.
        root, output: The workspace.
        models: Folder of the registry of models, for the fork server does not know what its user came to say of it.
        slots: How many jobs may run at once; each may use its share of the processors.
        policy: What it may take, and when it is to be replaced.
    """
    status = 1
    try:
        _set_up_process(policy)
        os.environ[MODELS_VARIABLE] = models
        threads = max(1, threads_to_use() // slots)
        workspace = Workspace(Path(root), output)
        gc.freeze()  # what is loaded stays: to look through it after each job would take longer than a small job
        watch = ProcessWatch.begun(policy.grown_bytes)
        for left in reversed(range(policy.jobs)):
            job = _next_job(connection)
            if job is None:
                break
            _send(connection, Taken())
            ending, foreseen = _ending(workspace, job, _Reporter(connection, job), threads)
            if not _is_clean(watch, foreseen):
                end_children()
                _send(connection, ending)
                break
            _print_into(os.devnull)  # the log is whole, and the next job's own
            _send(connection, ending)
            if left == 0:
                break
            _send(connection, Kept())
            gc.collect()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _exit(status)


def hand_over(connection: Connection, job: Job, printed: Connection) -> None:
    """Send a job to a worker.

    Args:
        connection: The executor's end of the two-way pipe.
        job: Its record, claimed.
        printed: Writing end of the pipe that takes what the job prints.

    Raises:
        OSError: The worker is gone, or does not take it.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SECONDS_TO_TAKE_A_JOB, 0))
        socket.send_fds(channel, [b"j"], [printed.fileno()])
    connection.send_bytes(msgspec.json.encode(job))


def _next_job(connection: Connection) -> Job | None:
    """The next job, with what it prints led into its log; None when there will be none."""
    with socket.socket(fileno=os.dup(connection.fileno())) as channel:
        word, files, _, _ = socket.recv_fds(channel, 1, 1)
    if not word:
        return None
    for file in files:
        _print_into(file)
        os.close(file)
    return msgspec.json.decode(connection.recv_bytes(), type=Job)


def _is_clean(watch: ProcessWatch, foreseen: bool) -> bool:
    """Whether another job may run here; says in the log why not."""
    _flush()
    if not foreseen:
        return False  # who knows in what state an unexpected error left the libraries
    left_behind = watch.why_to_replace()
    if left_behind is not None:
        print(f"the job left {left_behind} behind; its process is replaced", file=sys.stderr, flush=True)
    return left_behind is None


def _exit(status: int) -> None:
    """End now: a thread that the task left behind must not keep alive a process that has given its answer."""
    _flush()
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a task may have put anything there
            stream.flush()
    ctypes.CDLL(None).fflush(None)  # what C libraries print


def _set_up_process(policy: WorkerPolicy) -> None:
    os.setsid()  # a group of its own, so that a cancellation reaches what the task started
    adopt_orphans()
    _print_into(os.devnull)
    faulthandler.enable(2)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    # On Linux a new session is a new autogroup, among which `nice` counts for nothing (man 7 sched).
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(f"{policy.niceness}")
    os.umask(0o077)
    os.nice(policy.niceness)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images
    if policy.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (policy.memory_bytes, policy.memory_bytes))


def _print_into(target: str | int) -> None:
    """Lead what this process prints into a file, by its name or number."""
    file = os.open(target, os.O_WRONLY) if isinstance(target, str) else target
    os.dup2(file, 1)
    os.dup2(file, 2)
    if isinstance(target, str):
        os.close(file)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)


def _end_with_the_server() -> None:
    # The worker of a killed server would compute on, for nobody. PR_SET_PDEATHSIG would not do: the parent is the fork
    # server, which lives as long as any of its children.
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    end_all(descendants(os.getpid()))  # also those in sessions of their own
    os.killpg(0, signal.SIGKILL)


class _Reporter:
    """The `Report` of a worker: passes on what is new, a few times a second."""

    def __init__(self, connection: Connection, job: Job) -> None:
        self._connection = connection
        self._job = job
        self._sent_at = time.monotonic()  # of a job that ends at once its ending is enough

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self._sent_at >= _SECONDS_BETWEEN_REPORTS and math.isfinite(fraction):
            self._sent_at = now
            _send(self._connection, Progress(self._job.uid, self._job.attempts, float(fraction), printable(message)))


def _send(connection: Connection, update: Update | Taken | Kept) -> None:
    try:
        connection.send_bytes(msgspec.json.encode(update))
    except BrokenPipeError:
        os._exit(1)  # the server is gone, and nobody waits for the result


def _ending(workspace: Workspace, job: Job, report: _Reporter, threads: int) -> tuple[Ending, bool]:
    """How the job ended, and whether a task may end so: not by an exception that is not ours."""
    from dlp_lab.jobs.pipeline import run_job  # loaded before this process was forked; who starts it needs none of it

    lock = None
    try:
        workspace.create()  # it may have been removed since
        lock = os.open(workspace.job_log(job.uid), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        wait_for_earlier_attempt(lock)
        workspace.remove_result(job.uid)
        # settings of numpy, decimal and warnings that a task changes are its own
        with warnings.catch_warnings():
            noticed = contextvars.copy_context().run(run_job, workspace, job, report, threads)
        return Succeeded(job.uid, job.attempts, [printable(warning) for warning in noticed]), True
    except JobCancelled:
        return Cancelled(job.uid, job.attempts), True
    except DlpError as error:
        kind = Hindered if isinstance(error, DiskFull) else Failed
        return kind(job.uid, job.attempts, error.code, str(error)), True
    except BaseException as error:  # a task may raise anything, SystemExit too
        traceback.print_exc()
        return ending_of_foreign(error, workspace, job), False
    finally:
        if lock is not None:
            os.close(lock)
