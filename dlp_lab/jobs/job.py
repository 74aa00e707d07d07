"""What is asked of a job, and what became of it.

`Job` is one type everywhere: the row of the database, the JSON of the REST routes and of `job.json` beside the result,
and (generated from it) the type in the JupyterLab extension.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from dlp_lab.dicom.options import OutputForm as OutputForm
from dlp_lab.dicom.options import ReadOptions as ReadOptions
from dlp_lab.duration import duration_text
from dlp_lab.errors import DlpError, ErrorDetail, MalformedRequest
from dlp_lab.notebook_html import facts_html

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
Priority = Annotated[int, msgspec.Meta(ge=-100, le=100)]
Group = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=r"^[^\u0000]*$")]
_LONGEST_KEY = 255
ENDED: frozenset[JobState] = frozenset(("succeeded", "failed", "cancelled"))


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked.

    Attributes:
        task: Name of an installed task.
        input_dir: Folder with the DICOM series, relative to the root, with "/" between names.
        params: The task's parameters; absent ones take their defaults.
        keep_hdf5: Whether the result folder also gets the source and the result volume as HDF5 + JSON.
        read: Which images of the folder, and which repairs.
        priority: Jobs of a higher one start first; among equals, those submitted first.
        output_form: Whether the result is a series like its source, one multi-frame image or one Parametric Map.
        group: What the job is one of, such as the folder of a cohort relative to the root; listings can be of one.
    """

    task: str
    input_dir: str
    params: dict[str, Any] = {}
    keep_hdf5: bool = False
    read: ReadOptions = ReadOptions()
    priority: Priority = 0
    output_form: OutputForm = "series"
    group: Group | None = None


def checked_key(key: str) -> str:
    """An idempotency key, as a client sent it.

    Raises:
        MalformedRequest: It is empty, too long, or has characters that no key has.
    """
    if not 0 < len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise MalformedRequest(
            f"an idempotency key has 1 to {_LONGEST_KEY} printable ASCII characters, such as a random UUID"
        )
    return key


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job and what became of it.

    Attributes:
        uid: 32 lower-case hexadecimal digits, unguessable; also the name of the output folder.
        task, input_dir, params, keep_hdf5, read, priority, output_form, group: As asked, with defaults filled in.
        state: Where it stands.
        progress: 0 to 1.
        message: The step at work, or the sentence that says how it ended.
        error_code: Stable code of the reason when it failed, such as "MISSING_SLICES".
        output_dir: Folder of the result, relative to the root; only when it succeeded.
        warnings: What was noticed in the input and accepted.
        submitted_at, started_at, ended_at: UTC, ISO 8601 with milliseconds.
        attempts: How often it was started.
        position: Its place in the queue while it waits, 1 being the next to start; only in an answer about the job or
            in a listing, for it changes with every other job.
        owner: Who submitted it, on a server that several users share; null where nobody had to say who they are.
        elapsed_seconds: How long this attempt has been at work, or how long the last one took, by the server's clock;
            null before it started; only in an answer about the job or in a listing.
        seconds_left: How long it may still take if it goes on as until now; null unless it runs, and while it is too
            early to tell; only in an answer about the job or in a listing.
    """

    uid: str
    task: str
    input_dir: str
    params: dict[str, Any]
    keep_hdf5: bool
    state: JobState
    submitted_at: str
    progress: float = 0.0
    message: str = ""
    error_code: str | None = None
    output_dir: str | None = None
    warnings: list[str] = []
    started_at: str | None = None
    ended_at: str | None = None
    attempts: int = 0
    read: ReadOptions = ReadOptions()
    priority: Priority = 0
    position: int | None = None
    output_form: OutputForm = "series"
    owner: str | None = None
    elapsed_seconds: float | None = None
    seconds_left: float | None = None
    group: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    def _repr_html_(self) -> str:
        """In a notebook: where it stands. Its folder is left out, for the name may be a patient's."""
        return facts_html(
            {
                "job": self.uid,
                "task": self.task,
                "parameters": ", ".join(f"{name} = {value}" for name, value in self.params.items()),
                "state": f"{self.state}, {self.progress:.0%}" if self.state == "running" else self.state,
                "step" if not self.ended else "message": self.message,
                "code": self.error_code or "",
                "took": "" if self.elapsed_seconds is None else duration_text(self.elapsed_seconds),
                "result": self.output_dir or "",
                "noticed": " ".join(self.warnings),
            }
        )


class TaskInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A task as the doors show it.

    Attributes:
        name, title, description: What it is called, and what it is for.
        makes: Whether its result is an image, or labels of structures.
        params_schema: JSON Schema of its parameters.
    """

    name: str
    title: str
    description: str
    makes: Literal["image", "labels"]
    params_schema: dict[str, Any]


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What Jupyter's event bus carries when a job changes. It reaches every client, so it names no folder, no file.

    Attributes:
        uid, state, progress: Of the job; null on a server that several users share, where a client asks for the jobs
            that it may see.
    """

    uid: str | None
    state: JobState | None
    progress: float | None


class GroupCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs of a group are in each state, whichever of them are listed.

    Attributes:
        group: Its name.
        queued, running, succeeded, failed, cancelled: How many jobs.
    """

    group: str
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of the job listing, newest first.

    Attributes:
        jobs: The newest ones of those asked for.
        older: How many more there are.
        next_before: What to send as `before` to list them; null when there are none.
        groups: Each group that one of `jobs` is of.
        running, queued: How many of all jobs, also of those not asked for.
    """

    jobs: list[Job]
    older: int
    next_before: str | None = None
    groups: list[GroupCounts] = []
    running: int = 0
    queued: int = 0


class JobLogPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a job printed.

    Attributes:
        text: What it is.
        next_offset: Where it ends, in bytes; what is printed later begins there.
    """

    text: str
    next_offset: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of the health route.

    Attributes:
        version: Of dlp-lab.
        root_offset: Where the root is in the folder that Jupyter serves: "" the same, "a/b" below it, null outside.
        logs_dir: Folder of the jobs' logs, relative to the root of dlp-lab.
        executor: Where jobs run.
        slots: How many may run at once.
        has_dispatcher: Whether any process starts the jobs of this queue.
        trouble: Why no job can be started for now, such as a Dask scheduler that does not answer, where this server is
            the one that starts them; null where nothing is known to be wrong.
        free_bytes: Left on the disk of the output folder.
        jobs: How many there are in each state, whoever owns them.
    """

    version: str
    root_offset: str | None
    logs_dir: str
    executor: str
    slots: int
    has_dispatcher: bool
    trouble: str | None
    free_bytes: int
    jobs: dict[JobState, int]


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of the task listing."""

    tasks: list[TaskInfo]


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every refusal of the versioned API.

    Attributes:
        code: Stable, for programs, such as "BAD_PARAMETERS".
        message: What came, what was expected and what to do, for people.
        detail: What of it programs can use; null where there is nothing to tell.
    """

    code: str
    message: str
    detail: ErrorDetail | None = None


def refusal_of(error: DlpError) -> ErrorReply:
    """A refusal as the versioned API tells it."""
    return ErrorReply(code=error.code, message=str(error), detail=error.detail)


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Several jobs in one request; each is taken or refused by itself.

    Attributes:
        jobs: What is asked.
    """

    jobs: Annotated[list[JobRequest], msgspec.Meta(min_length=1, max_length=200)]


class BatchVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request of several.

    Attributes:
        job: The job, if it was taken.
        error: Why it was refused, if it was.
    """

    job: Job | None = None
    error: ErrorReply | None = None


class BatchReply(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to several requests at once.

    Attributes:
        verdicts: One for each, in their order.
    """

    verdicts: list[BatchVerdict]
