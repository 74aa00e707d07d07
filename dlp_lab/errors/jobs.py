"""What the queue refuses, and what became of a job."""

from __future__ import annotations

from dlp_lab.errors.base import DlpError
from dlp_lab.errors.requests import RequestRefused


class NoSuchJob(DlpError, LookupError):
    """No job has that uid."""

    code = "NO_SUCH_JOB"
    http_status = 404
    exit_status = 2


class JobAlreadyEnded(DlpError):
    """The job has ended, so it cannot be cancelled."""

    code = "JOB_ALREADY_ENDED"
    http_status = 409


class JobNotEnded(DlpError):
    """The job waits or runs, so it cannot be removed."""

    code = "JOB_NOT_ENDED"
    http_status = 409


class JobNotFailed(DlpError):
    """The job waits, runs or has succeeded, so there is nothing to try again."""

    code = "JOB_NOT_FAILED"
    http_status = 409


class ResultNotDeleted(DlpError):
    """The result of a job that is to be forgotten with it cannot be deleted."""

    code = "RESULT_NOT_DELETED"


class IdempotencyKeyReused(RequestRefused):
    """The key came before, with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class QueueFull(DlpError):
    """As many jobs wait as may."""

    code = "QUEUE_FULL"
    http_status = 429
    retry_after_seconds = 60


class JobFailed(DlpError, RuntimeError):
    """Raised by `wait()` for a job that ended without a result."""

    code = "JOB_FAILED"


class JobCancelled(DlpError):
    """Raised inside a task by its `report` when the job was cancelled."""

    code = "JOB_CANCELLED"


class WorkerCrashed(DlpError, RuntimeError):
    """The worker process ended without an answer (killed, out of memory, crashed in a native library)."""

    code = "WORKER_CRASHED"


class WorkerLost(DlpError, RuntimeError):
    """The place where the job ran was lost: a machine, a worker or scheduler of a cluster, the fork server."""

    code = "WORKER_LOST"


class ServerStopped(DlpError, RuntimeError):
    """The server stopped while the job was running, too often to try once more."""

    code = "SERVER_STOPPED"


class TimedOut(DlpError, TimeoutError):
    """The job ran longer than jobs may."""

    code = "TIMED_OUT"


class OutOfMemory(DlpError, MemoryError):
    """The job needs more memory than there is."""

    code = "OUT_OF_MEMORY"


class TooManyFiles(DlpError, OSError):
    """More files are open than the system allows at once."""

    code = "TOO_MANY_FILES"


class DiskFull(DlpError, OSError):
    """There is no room for the result, or for the queue."""

    code = "DISK_FULL"
    http_status = 507


class DiskFailed(DlpError, OSError):
    """The disk reported an error while a result was written."""

    code = "DISK_FAILED"


class ServerStopping(DlpError, RuntimeError):
    """The server is about to stop, and takes no more requests."""

    code = "SERVER_STOPPING"
    http_status = 503
    retry_after_seconds = 10


class QueueUnusable(DlpError, RuntimeError):
    """The output folder or the queue's database in it cannot be used: not made, not opened, damaged, too new."""

    code = "QUEUE_UNUSABLE"
    http_status = 503
    exit_status = 2


class ExecutorUnusable(DlpError, RuntimeError):
    """Jobs cannot be run where the settings say: something is not installed, an address or a certificate is wrong."""

    code = "EXECUTOR_UNUSABLE"
    http_status = 503
    exit_status = 2


class TaskResultInvalid(DlpError, ValueError):
    """A task returned something that cannot be written: wrong grid, or values that are not finite."""

    code = "TASK_RESULT_INVALID"
