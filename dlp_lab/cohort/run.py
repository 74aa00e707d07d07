"""A cohort, run: each case through the queue, each result through a notebook, and one summary of them all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.case_jobs import CaseJobs
from dlp_lab.cohort.case_result import measured_in
from dlp_lab.cohort.failure_page import failure_page
from dlp_lab.cohort.fingerprint import report_fingerprint
from dlp_lab.cohort.plan import PlannedCase
from dlp_lab.cohort.reports import MadeReport, Reports
from dlp_lab.cohort.summary import Summary
from dlp_lab.errors import NoSuchJob
from dlp_lab.jobs.service import JobService
from dlp_lab.store.cohort_folder import CohortFolder, remove_if_there, write_replacing

_POLL_SECONDS = 0.02


@dataclass
class CohortRun:
    """One run over the planned cases.

    Attributes:
        service: The queue.
        cohort: Where everything is written.
        task: That is run.
        plans: All cases.
        jobs: Those of them that are to be run.
        reports: What makes reports; None where none are asked for.
        notebook: That they are made with.
        summary: Of them all.
        tell: Called when a case is done, with how many have gone wrong.
        records: What became of each case, so far.
        executed_reports: How many notebooks were executed.
    """

    service: JobService
    cohort: CohortFolder
    task: str
    plans: list[PlannedCase]
    jobs: CaseJobs
    reports: Reports | None
    notebook: bytes
    summary: Summary
    tell: Callable[[int], None]
    records: dict[str, CaseRecord] = field(default_factory=dict)
    executed_reports: int = 0
    _making: dict[Future[MadeReport], PlannedCase] = field(default_factory=dict)

    def run(self) -> None:
        """Run until all is done.

        Raises:
            KeyboardInterrupt: Ctrl-C; the jobs that have not ended are cancelled, and what is done is kept.
        """
        self.records = {plan.case.case_id: _record_at_start(plan) for plan in self.plans}
        try:
            for plan in self.plans:
                if plan.work == "report":
                    self._start_report(plan, plan.before)
            while not self.jobs.are_done or self._making:
                if not self._work_once():
                    time.sleep(_POLL_SECONDS)
                self.summary.write_now_and_then(list(self.records.values()))
        except BaseException:
            self.jobs.cancel()
            self._note_ended()
            raise
        finally:
            self.summary.write(list(self.records.values()))

    def _work_once(self) -> bool:
        """Whether anything has happened."""
        happened = False
        for plan, record in self.jobs.submit_some():
            self._job_ended(plan, record)
            happened = True
        happened |= self._note_ended()
        for future in [future for future in self._making if future.done()]:
            self._report_made(self._making.pop(future), future.result())
            happened = True
        return happened

    def _note_ended(self) -> bool:
        ended = list(self.jobs.ended())
        for plan, record in ended:
            self._job_ended(plan, record)
        return bool(ended)

    def _job_ended(self, plan: PlannedCase, record: CaseRecord) -> None:
        if record.state != "succeeded":
            self._case_done(record)
            return
        assert record.job is not None
        record = msgspec.structs.replace(record, measured=measured_in(self.service.workspace, record.job))
        if self.reports is None:
            self._case_done(record)
        else:
            self._keep(record)  # should the run end before the report is made
            self._start_report(plan, record)

    def _start_report(self, plan: PlannedCase, record: CaseRecord) -> None:
        assert self.reports is not None and record.job is not None
        try:
            job = self.service.get(record.job)
        except NoSuchJob:
            made = MadeReport("the job is forgotten by the queue, so its report cannot be made", 0.0)
            self._note_report(plan, record, made)
        else:
            self._making[self.reports.start(plan.case.case_id, job)] = plan

    def _report_made(self, plan: PlannedCase, made: MadeReport) -> None:
        self.executed_reports += 1
        self._note_report(plan, self.records[plan.case.case_id], made)

    def _note_report(self, plan: PlannedCase, record: CaseRecord, made: MadeReport) -> None:
        assert record.job is not None
        self._case_done(
            msgspec.structs.replace(
                record,
                report_fingerprint=report_fingerprint(plan.fingerprint, record.job, self.notebook),
                report_error=made.error,
                report_seconds=made.seconds,
            )
        )

    def _case_done(self, record: CaseRecord) -> None:
        page = self.cohort.case(record.case_id) / "failure.html"
        if record.went_wrong:
            write_replacing(page, failure_page(record, self.task))
        else:
            remove_if_there(page)
        if record.report_fingerprint is None:  # a report of an earlier result would be taken for one of this
            remove_if_there(page.with_name("report.html"), page.with_name("report.ipynb"))
        self._keep(record)
        self.tell(sum(kept.went_wrong for kept in self.records.values()))

    def _keep(self, record: CaseRecord) -> None:
        self.records[record.case_id] = record
        write_replacing(self.cohort.case(record.case_id) / "case.json", msgspec.json.encode(record))


def _record_at_start(plan: PlannedCase) -> CaseRecord:
    if plan.work != "job":
        return plan.before
    return CaseRecord(case_id=plan.case.case_id, params=plan.request.params)


def progress_bar(total: int, *, is_shown: bool) -> tuple[Callable[[int], None], Callable[[], None]]:
    """A bar of the cases with the time left: what to call when one is done, and what at the end."""
    from tqdm.auto import tqdm  # in a notebook this loads ipywidgets, which scripts need not have

    bar = tqdm(total=total, desc="cohort", unit="case", disable=not is_shown or not total, file=sys.stderr)

    def tell(gone_wrong: int) -> None:
        if gone_wrong:
            bar.set_postfix_str(f"{gone_wrong} went wrong", refresh=False)
        bar.update()

    return tell, bar.close
