"""How a job ended by an exception that is not ours: what its user can do about it, where that is known."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from dlp_lab.errors import DiskFailed, DiskFull, OutOfMemory, QueueUnusable, TooManyFiles, Unreadable, printable
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Failed, Hindered
from dlp_lab.store.workspace import Workspace

_NO_THREAD = "can't start new thread"
"""Python's whole message."""
_MAY_NOT = (errno.EACCES, errno.EPERM, errno.EROFS)


def ending_of_foreign(error: BaseException, workspace: Workspace, job: Job) -> Failed | Hindered:
    """The ending that an exception makes; its own text may hold a patient's data or a path, and stays in the log."""
    uid, attempt = job.uid, job.attempts
    if isinstance(error, OSError):
        found = _of_the_system(error, workspace, job)
        if found is not None:
            kind, code, message = found
            return kind(uid, attempt, code, message)
    if isinstance(error, MemoryError):
        return Failed(uid, attempt, OutOfMemory.code, _out_of_memory())
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        message = (
            "there is no room for another thread: the system limits the memory (ulimit -v) or the number (ulimit -u) "
            "of what this user runs; run fewer jobs at once, or raise the limit"
        )
        return Failed(uid, attempt, OutOfMemory.code, message)
    message = f"an unexpected error ({type(error).__name__}); see {workspace.job_log_name(uid)}"
    return Failed(uid, attempt, "INTERNAL", message)


def _of_the_system(
    error: OSError, workspace: Workspace, job: Job
) -> tuple[type[Failed] | type[Hindered], str, str] | None:
    """Whether the job may be tried again by itself, code and sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Hindered, DiskFull.code, "there is no room for the result; free space on the disk of the output folder"
    if error.errno == errno.EFBIG:
        message = "a file of the result is larger than files may be here; raise that limit (ulimit -f), submit again"
        return Failed, DiskFull.code, message
    if error.errno in (errno.EMFILE, errno.ENFILE):
        message = "more files are open than may be at once; raise that limit (ulimit -n), submit again"
        return Failed, TooManyFiles.code, message
    if error.errno == errno.ENOMEM:
        return Failed, OutOfMemory.code, _out_of_memory()
    # the output folder lies in the root, which may be the input
    if error.errno == errno.ENOENT and _is_below(error.filename, workspace.output_folder):
        message = "the output folder, or what was written there, was moved or removed meanwhile; submit again"
        return Failed, QueueUnusable.code, message
    if _is_below(error.filename, workspace.root / job.input_dir):
        name = printable(os.path.basename(error.filename))
        message = f"{name} of the input could not be read ({error.strerror}); was it moved meanwhile? Submit again"
        return Failed, Unreadable.code, message
    if error.errno in _MAY_NOT and _is_below(error.filename, workspace.output_folder):
        message = f"the output folder cannot be written to ({error.strerror}); give it back to this user and try again"
        return Failed, QueueUnusable.code, message
    if error.errno == errno.EIO:
        message = "the disk reported an error while the result was written; look at the system's log"
        return Hindered, DiskFailed.code, message
    return None


def _out_of_memory() -> str:
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if most != resource.RLIM_INFINITY:
        return (
            f"the job needs more than the {most / 2**30:.3g} GiB of memory that it may have; "
            "the server's option max_job_memory_gib says how much that is"
        )
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return "the job needs more memory than the limit of addresses allows (ulimit -v); raise it, submit again"
    return "there is not enough memory for this series; run fewer jobs at once"


def _is_below(file: object, folder: Path) -> bool:
    return isinstance(file, str) and Path(os.path.abspath(file)).is_relative_to(folder)
