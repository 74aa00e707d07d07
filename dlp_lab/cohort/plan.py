"""What a run of a cohort has to do: which cases are as they were, and which are to be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from dlp_lab.cohort.case import FAILED, Case, CaseRecord
from dlp_lab.cohort.case_result import result_is_there
from dlp_lab.cohort.fingerprint import case_fingerprint, report_fingerprint
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.errors import BadParameters, DlpError
from dlp_lab.jobs.channel_series import is_series_uid
from dlp_lab.jobs.job import JobRequest
from dlp_lab.store.cohort_folder import CohortFolder
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task_named
from dlp_lab.tasks.task import ChannelTask, JsonObject

Work = Literal["nothing", "report", "job"]


@dataclass(frozen=True)
class PlannedCase:
    """A case and what is to be done for it.

    Attributes:
        case: The case.
        request: Its job.
        fingerprint: Of all that its result depends on.
        before: Its record of an earlier run, whatever that was about.
        work: Whether its job is to be run, or its report alone to be made, or neither.
    """

    case: Case
    request: JobRequest
    fingerprint: str
    before: CaseRecord
    work: Work


def planned(
    workspace: Workspace,
    cohort: CohortFolder,
    inputs: Inputs,
    cases: Sequence[Case],
    request: JobRequest,
    notebook: bytes | None,
    *,
    retry_failed: bool,
) -> list[PlannedCase]:
    """Look at each case, and at what is left of it from earlier runs.

    Args:
        workspace: Where cases and results are.
        cohort: The folder of the cohort.
        inputs: What is in the folders of the cases.
        cases: All of them.
        request: What all jobs have in common.
        notebook: What reports are made with; None where none are asked for.
        retry_failed: Whether cases that failed, and have not changed, are to be run again.
    """
    plans = []
    for case in cases:
        read = request.read if case.series is None else msgspec.structs.replace(request.read, series=case.series)
        params = _with_defaults(request.task, {**request.params, **case.params})
        own = msgspec.structs.replace(request, input_dir=case.input_dir, params=params, read=read)
        fingerprint = case_fingerprint(own, _input_sha256(inputs, case, own))
        before = read_record(cohort, case.case_id)
        work = _work(workspace, before, fingerprint, notebook, retry_failed=retry_failed)
        plans.append(PlannedCase(case, own, fingerprint, before, work))
    return plans


def _with_defaults(task: str, params: JsonObject) -> JsonObject:
    try:
        return task_named(task).from_params(params).params()
    except BadParameters:  # for which the case will be refused
        return params


def _input_sha256(inputs: Inputs, case: Case, request: JobRequest) -> str:
    """Of the case's series, and of the others that its task looks at beside it."""
    try:
        found = [inputs.content(case.input_dir).sha256_of(request.read.series)]
        task = task_named(request.task).from_params(request.params)
        for name, where in task.other_series().items() if isinstance(task, ChannelTask) else ():
            folder, series = (case.input_dir, where) if is_series_uid(where) else (where, None)
            found.append(f"{name} {inputs.content(folder).sha256_of(series)}")
        return "\n".join(found)
    except DlpError as error:
        return str(error)


def _work(
    workspace: Workspace, before: CaseRecord, fingerprint: str, notebook: bytes | None, *, retry_failed: bool
) -> Work:
    if before.fingerprint != fingerprint or not before.ended:
        return "job"
    if before.state in FAILED:
        return "job" if retry_failed or before.state == "cancelled" else "nothing"
    if before.job is None or not result_is_there(workspace, before.job):
        return "job"
    if notebook is None or before.report_fingerprint == report_fingerprint(fingerprint, before.job, notebook):
        return "report" if notebook is not None and before.report_error and retry_failed else "nothing"
    return "report"


def read_record(cohort: CohortFolder, case_id: str) -> CaseRecord:
    """What became of a case in earlier runs; a new record where there is none that can be read."""
    path = cohort.case(case_id) / "case.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=CaseRecord)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeError, DlpError):
        return CaseRecord(case_id=case_id)
