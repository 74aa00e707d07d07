"""What a cohort is made of: a case, and what became of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from dlp_lab.jobs.job import Job, JobState
from dlp_lab.tasks.task import JsonObject

CaseState = Literal["waiting"] | JobState
FAILED: frozenset[CaseState] = frozenset(("failed", "cancelled"))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One series that the task is to be run on.

    Attributes:
        case_id: Its name in the cohort; it tells nothing of the patient.
        input_dir: Folder with the series, relative to the root.
        series: SeriesInstanceUID, where the folder may hold several.
        params: Parameters of its own, which take the place of those of the cohort.
    """

    case_id: str
    input_dir: str
    series: str | None = None
    params: JsonObject = {}


class CaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case; kept as `case.json` in its folder, and a line of the summary.

    Attributes:
        case_id: Its name.
        fingerprint: Of all that its result depends on; the case is run again when it is another one.
        state: That of its job; "waiting" before it has one. A case that is refused has failed without a job.
        message: The sentence that says how it ended.
        error_code: Stable code of the reason when it failed.
        job: Uid of its job, and name of the result's folder.
        params: Parameters of its job, with defaults filled in.
        warnings: What was noticed in the input and accepted.
        started_at, ended_at: Of the job's last attempt, UTC.
        seconds: How long that took.
        attempts: How often the job was started.
        measured: What was measured in the result, by a name with its unit.
        report_fingerprint: Of what the report was made from; the report is made again when it is another one.
        report_error: Why there is no report, though one was asked for.
        report_seconds: How long it took to make.
    """

    case_id: str
    fingerprint: str = ""
    state: CaseState = "waiting"
    message: str = ""
    error_code: str | None = None
    job: str | None = None
    params: JsonObject = {}
    warnings: list[str] = []
    started_at: str | None = None
    ended_at: str | None = None
    seconds: float | None = None
    attempts: int = 0
    measured: dict[str, float] = {}
    report_fingerprint: str | None = None
    report_error: str = ""
    report_seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the job has nothing more to do."""
        return self.state == "succeeded" or self.state in FAILED

    @property
    def went_wrong(self) -> bool:
        """Whether there is a page that says why something of it is absent."""
        return self.state in FAILED or bool(self.report_error)

    def with_job(self, job: Job) -> CaseRecord:
        """The record once more is known of the job."""
        return msgspec.structs.replace(
            self,
            state=job.state,
            message=job.message,
            error_code=job.error_code,
            job=job.uid,
            params=job.params,
            warnings=job.warnings,
            started_at=job.started_at,
            ended_at=job.ended_at,
            seconds=job.elapsed_seconds,
            attempts=job.attempts,
        )
