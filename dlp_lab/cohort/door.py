"""`dlp.run_cohort(...)`: a cohort from Python, and what the command line calls."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from dlp_lab.cohort.case import Case, CaseRecord
from dlp_lab.cohort.case_jobs import CaseJobs
from dlp_lab.cohort.case_search import find_cases
from dlp_lab.cohort.case_table import case_table, read_case_table
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.cohort.plan import PlannedCase, planned
from dlp_lab.cohort.reports import Reports
from dlp_lab.cohort.run import CohortRun, progress_bar
from dlp_lab.cohort.summary import Summary
from dlp_lab.errors import CaseTableRefused, DlpError, MalformedRequest, printable
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.handle import job_request, job_service
from dlp_lab.jobs.job import JobRequest, OutputForm
from dlp_lab.jobs.known_folders import KnownFolders
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.slots import default_slots
from dlp_lab.jobs.stored_limits import stored_limits
from dlp_lab.jobs.submission import checked_request
from dlp_lab.store.cohort_folder import CohortFolder, write_replacing
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task_named

_IN_FLIGHT = 64
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Cohort:
    """A cohort after a run.

    Attributes:
        path: Its folder.
        records: What became of each case, in order.
        jobs: How many cases this run ran, or tried to.
        reports: How many notebooks it executed.
    """

    path: Path
    records: tuple[CaseRecord, ...]
    jobs: int
    reports: int

    @property
    def summary(self) -> Path:
        """The table of all cases as a page."""
        return self.path / "summary.html"

    @property
    def failed(self) -> tuple[CaseRecord, ...]:
        """Those without a result, or without the report that was asked for."""
        return tuple(record for record in self.records if record.went_wrong)

    def __str__(self) -> str:
        states = Counter(str(record.state) for record in self.records)
        states["without a report"] = sum(bool(record.report_error) for record in self.records)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if count)
        return f"{len(self.records)} cases: {self.jobs} executed, {self.reports} reports made; {counts}"


def run_cohort(
    cases: Path | str,
    task: str,
    *,
    out: Path | str,
    params: Mapping[str, Any] | None = None,
    notebook: Path | str | None = None,
    retry_failed: bool = False,
    executor: str | None = None,
    in_flight: int | None = None,
    report_slots: int | None = None,
    progress: bool = True,
    root: Path | str | None = None,
    read: dict[str, Any] | None = None,
    keep_hdf5: bool = False,
    priority: int = 0,
    output_form: OutputForm = "series",
) -> Cohort:
    """Run a task on many cases, such as `run_cohort("study", "3dblur", out="blurred", params={"sigma_mm": 2})`.

    Each case is a job of the queue, with a page of its own. What is as it was in an earlier run, by the content of its
    files, its parameters, its model and the versions of programs, is not run again. Failures do not stop the others.

    Args:
        cases: A CSV table (`read_case_table`), or a folder with a tree of series (`find_cases`).
        task: Name of an installed task.
        out: Folder of the cohort, inside the root; that of an earlier run to go on with it.
        params: Parameters for all cases; a column of the table of the same name comes first.
        notebook: Executed for each case with the fields of its job as parameters; None for no reports.
        retry_failed: Whether cases that failed before are run again though they have not changed.
        executor: "local" or "dask", should this process be the one that starts jobs; by default what the environment
            says.
        in_flight: How many jobs wait or run at once; 64 by default.
        report_slots: How many notebooks are executed at once; by default half of the processors.
        progress: Whether to show a progress bar with the time left.
        root, read, keep_hdf5, priority, output_form: As in `submit`, for all cases.

    Raises:
        DlpError: The table, the folder or the task is refused; or the queue can take no jobs. A case that fails raises
            nothing.
        KeyboardInterrupt: Ctrl-C; jobs that have not ended are cancelled, and the next run goes on.
    """
    workspace = Workspace.from_environment(root)
    options = {"keep_hdf5": keep_hdf5, "read": read or {}, "priority": priority, "output_form": output_form}
    request = cohort_request(workspace, task, params or {}, **options)
    if in_flight is not None and in_flight < 1:
        raise MalformedRequest(f"in_flight is at least 1; got {in_flight}")
    if report_slots is not None and report_slots < 1:
        raise MalformedRequest(f"report_slots is at least 1; got {report_slots}")
    cohort = CohortFolder.of(workspace, out)
    request = msgspec.structs.replace(request, group=cohort.name)
    source = _notebook(notebook)
    workspace.create()
    with cohort.held():
        inputs = Inputs(workspace, cohort.inputs)
        found = listed_cases(workspace, Path(cases), cohort, inputs, request)
        plans = planned(workspace, cohort, inputs, found, request, source, retry_failed=retry_failed)
        inputs.remember()
        write_replacing(cohort.table, case_table(found))
        to_do = [plan for plan in plans if plan.work == "job"]
        with contextlib.ExitStack() as at_end:
            service = at_end.enter_context(_service(workspace, executor))
            reports = None
            if notebook is not None and any(plan.work != "nothing" for plan in plans):
                slots, seconds = report_slots or default_slots(), stored_limits(workspace).job_seconds
                reports = Reports(workspace, cohort, Path(notebook), slots, seconds)
                at_end.callback(reports.close)
            tell, close_bar = progress_bar(sum(plan.work != "nothing" for plan in plans), is_shown=progress)
            at_end.callback(close_bar)
            run = CohortRun(
                service=service,
                cohort=cohort,
                task=task,
                plans=plans,
                jobs=CaseJobs(service, to_do, in_flight=in_flight or _IN_FLIGHT, retry_failed=retry_failed),
                reports=reports,
                notebook=source or b"",
                summary=Summary(workspace, cohort, task),
                tell=tell,
            )
            run.run()
    return Cohort(cohort.path, tuple(run.records.values()), run.jobs.executed, run.executed_reports)


def plan_cohort(
    cases: Path | str,
    request: JobRequest,
    workspace: Workspace,
    out: Path | str,
    notebook: Path | str | None = None,
    *,
    retry_failed: bool = False,
) -> Iterator[tuple[PlannedCase, str]]:
    """What `run_cohort` would do, without doing it: each case, and the sentence by which it would be refused, or "".

    Reads the cases; writes nothing.
    """
    cohort = CohortFolder.of(workspace, out)
    inputs = Inputs(workspace, cohort.inputs)
    found = listed_cases(workspace, Path(cases), cohort, inputs, request)
    for plan in planned(workspace, cohort, inputs, found, request, _notebook(notebook), retry_failed=retry_failed):
        refusal = ""
        if plan.work == "job":
            try:
                checked_request(workspace, plan.request, KnownFolders())
            except DlpError as error:
                refusal = str(error)
        yield plan, refusal


def cohort_request(workspace: Workspace, task: str, params: Mapping[str, Any], **options: Any) -> JobRequest:
    """What all jobs of a cohort have in common.

    Raises:
        UnknownTask, BadParameters: The task is not installed, or a value is none of those allowed.
    """
    task_named(task).from_params(dict(params))
    request = job_request(workspace, task, workspace.root, **options)
    return msgspec.structs.replace(request, params=dict(params))


def listed_cases(
    workspace: Workspace, source: Path, cohort: CohortFolder, inputs: Inputs, request: JobRequest
) -> list[Case]:
    """The cases of a table or of a tree of folders.

    Raises:
        CaseTableRefused, PathRefused: It is neither, or none is in it.
    """
    if source.is_dir():
        return find_cases(workspace, source, cohort, inputs)
    if not source.is_file():
        raise CaseTableRefused(f"{source} is neither a table (CSV) nor a folder; name one of the two")
    cases = read_case_table(source, workspace, task_named(request.task))
    if not cases:
        raise CaseTableRefused(f"{source.name} has no case; write a line for each below the names of the columns")
    return cases


def _notebook(path: Path | str | None) -> bytes | None:
    """The content of a notebook, if it is one; papermill would say so anew for each case."""
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise MalformedRequest(f"the notebook {path} cannot be read: {error.strerror}") from None
    with contextlib.suppress(ImportError):  # without it there are no reports, and `Reports` says so
        import nbformat

        try:
            nbformat.validate(nbformat.reads(content.decode(), as_version=4))  # type: ignore[no-untyped-call]
        except Exception as error:  # nbformat raises what comes out of walking through another thing
            why = printable((str(error) or type(error).__name__).splitlines()[0])[:_LONGEST_REASON]
            raise MalformedRequest(
                f"{path} is no Jupyter notebook ({why}); save it in JupyterLab, or name another"
            ) from None
    return content


@contextlib.contextmanager
def _service(workspace: Workspace, executor: str | None) -> Iterator[JobService]:
    """The queue, served by this process if no other does it."""
    if executor is None:
        yield job_service(workspace)
        return
    settings = replace(ExecutorSettings.from_environment(), executor=executor)
    job_seconds = stored_limits(workspace).job_seconds
    service = JobService(workspace, executor=settings.new_executor(workspace, default_slots(), job_seconds))
    try:
        yield service
    finally:
        service.close()
