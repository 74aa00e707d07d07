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

from dlp_lab.errors import DiskFull, DlpError, JobCancelled, OutOfMemory
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.jobs.updates import Cancelled, Ending, Failed, Progress, Succeeded, Update
from dlp_lab.store.workspace import Workspace

_SECONDS_BETWEEN_REPORTS = 0.2


def worker_main(connection: Connection, root: str, output: str, job_json: bytes) -> None:
    """Entry of the process. Sends `Update`s as JSON; the last one is how the job ended.

    Args:
        connection: Writing end of a pipe.
        root, output: The workspace.
        job_json: The job's record, claimed.
    """
    workspace = Workspace(Path(root), output)
    job = msgspec.json.decode(job_json, type=Job)
    _set_up_process(workspace.job_log(job.uid))
    workspace.remove_result(job.uid)
    _send(connection, _ending(workspace, job, _Reporter(connection, job)))


def _set_up_process(log: Path) -> None:
    os.setsid()  # a group of its own, so that a cancellation reaches what the task started
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    # On Linux a new session is a new autogroup, among which `nice` counts for nothing (man 7 sched).
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    os.umask(0o077)
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images
    # The lock waits until the worker of an earlier attempt is gone, so that no two write the same folder.
    lock = os.open(log, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    printed = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)


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
            _send(self._connection, Progress(self._job.uid, self._job.attempts, float(fraction), message))


def _send(connection: Connection, update: Update) -> None:
    try:
        connection.send_bytes(msgspec.json.encode(update))
    except BrokenPipeError:
        os._exit(1)  # the server is gone, and nobody waits for the result


def _ending(workspace: Workspace, job: Job, report: _Reporter) -> Ending:
    try:
        return Succeeded(job.uid, job.attempts, run_job(workspace, job, report))
    except JobCancelled:
        return Cancelled(job.uid, job.attempts)
    except DlpError as error:
        return Failed(job.uid, job.attempts, error.code, str(error))
    except MemoryError:
        traceback.print_exc()
        message = "there is not enough memory for this series; run fewer jobs at once"
        return Failed(job.uid, job.attempts, OutOfMemory.code, message)
    except OSError as error:
        traceback.print_exc()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = "there is no room for the result; free space on the disk of the output folder and submit again"
            return Failed(job.uid, job.attempts, DiskFull.code, message)
        return _unexpected(job, error)
    except Exception as error:
        traceback.print_exc()
        return _unexpected(job, error)


def _unexpected(job: Job, error: Exception) -> Failed:
    # The text of a foreign exception may hold a patient's data or a path; it stays in the job's log.
    message = f"an unexpected error ({type(error).__name__}); the job's log has the details"
    return Failed(job.uid, job.attempts, "INTERNAL", message)
