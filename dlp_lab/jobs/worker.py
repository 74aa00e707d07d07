"""The process of a job: made quiet, mortal and talkative, then given to `run_job`."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import fcntl
import logging
import math
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from dlp_lab.dicom.compressed import available_processors
from dlp_lab.errors import DiskFull, DlpError, JobCancelled, OutOfMemory, Unreadable, printable
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.jobs.updates import Cancelled, Ending, Failed, Progress, Succeeded, Update
from dlp_lab.store.workspace import Workspace

_SECONDS_BETWEEN_REPORTS = 0.2


def worker_main(
    connection: Connection, printed: Connection, root: str, output: str, job_json: bytes, slots: int
) -> None:
    """Entry of the process. Sends `Update`s as JSON; the last one is how the job ended.

    Args:
        connection: Writing end of a pipe.
        printed: Writing end of the pipe that takes what the job prints.
        root, output: The workspace.
        job_json: The job's record, claimed.
        slots: How many jobs may run at once; this one may use its share of the processors.
    """
    status = 1
    try:
        _set_up_process(printed)
        job = msgspec.json.decode(job_json, type=Job)
        threads = max(1, available_processors() // slots)
        _send(connection, _ending(Workspace(Path(root), output), job, _Reporter(connection, job), threads))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _exit(status)


def _exit(status: int) -> None:
    """End now: a thread that the task left behind must not keep alive a process that has given its answer."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)


def _set_up_process(printed: Connection) -> None:
    os.setsid()  # a group of its own, so that a cancellation reaches what the task started
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    printed.close()
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    # On Linux a new session is a new autogroup, among which `nice` counts for nothing (man 7 sched).
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    os.umask(0o077)
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images


def _end_with_the_server() -> None:
    # The worker of a killed server would compute on, for nobody. PR_SET_PDEATHSIG would not do: the parent is the fork
    # server, which lives as long as any of its children.
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os.killpg(0, signal.SIGKILL)


class _Reporter:
    """The `Report` of a worker: passes on what is new, a few times a second."""

    def __init__(self, connection: Connection, job: Job) -> None:
        self._connection = connection
        self._job = job
        self._sent_at = -math.inf

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self._sent_at >= _SECONDS_BETWEEN_REPORTS and math.isfinite(fraction):
            self._sent_at = now
            _send(self._connection, Progress(self._job.uid, self._job.attempts, float(fraction), printable(message)))


def _send(connection: Connection, update: Update) -> None:
    try:
        connection.send_bytes(msgspec.json.encode(update))
    except BrokenPipeError:
        os._exit(1)  # the server is gone, and nobody waits for the result


def _ending(workspace: Workspace, job: Job, report: _Reporter, threads: int) -> Ending:
    try:
        return Succeeded(job.uid, job.attempts, _run(workspace, job, report, threads))
    except JobCancelled:
        return Cancelled(job.uid, job.attempts)
    except DlpError as error:
        code, message = error.code, str(error)
    except BaseException as error:  # a task may raise anything, SystemExit too
        traceback.print_exc()
        code, message = _reason(workspace, job, error)
    return Failed(job.uid, job.attempts, code, message)


def _run(workspace: Workspace, job: Job, report: _Reporter, threads: int) -> list[str]:
    workspace.create()  # it may have been removed since
    # The lock waits until the worker of an earlier attempt is gone, so that no two write the same folder. It is
    # given up when the process ends.
    lock = os.open(workspace.job_log(job.uid), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    workspace.remove_result(job.uid)
    return run_job(workspace, job, report, threads)


def _reason(workspace: Workspace, job: Job, error: BaseException) -> tuple[str, str]:
    """Code and sentence for an exception that is not our own."""
    if isinstance(error, MemoryError):
        return OutOfMemory.code, "there is not enough memory for this series; run fewer jobs at once"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "there is no room for the result; free space on the disk of the output folder and submit again"
        return DiskFull.code, message
    if isinstance(error, OSError) and _is_below(error.filename, workspace.root / job.input_dir):
        name = printable(os.path.basename(error.filename))
        message = f"{name} of the input could not be read ({error.strerror}); was it moved meanwhile? Submit again"
        return Unreadable.code, message
    # The text of a foreign exception may hold a patient's data or a path; it stays in the job's log.
    return "INTERNAL", f"an unexpected error ({type(error).__name__}); see {workspace.job_log_name(job.uid)}"


def _is_below(file: object, folder: Path) -> bool:
    return isinstance(file, str) and Path(os.path.abspath(file)).is_relative_to(folder)
