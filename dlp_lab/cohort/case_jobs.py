"""The jobs of a cohort in the queue: a bounded number at once, whoever runs them."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.case_result import result_is_there
from dlp_lab.cohort.fingerprint import submission_key
from dlp_lab.cohort.plan import PlannedCase
from dlp_lab.errors import (
    DlpError,
    JobAlreadyEnded,
    JobNotEnded,
    JobNotFailed,
    NoSuchJob,
    PathRefused,
    QueueFull,
    RequestRefused,
)
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_times import with_times
from dlp_lab.jobs.service import JobService

_LONGEST_AT_ONCE_SECONDS = 0.2
_SECONDS_BETWEEN_LOOKS_AT_ALL = 5.0
# the refusal itself names the folder, which may be named for the patient
_FOLDER_REFUSED = "its folder does not exist, is a file, or leads out of the root; cases.csv tells which it is"


class CaseJobs:
    """Submits the cases that are to be run, and tells of each when it has ended.

    Args:
        service: The queue.
        plans: The cases to be run.
        in_flight: How many jobs wait or run at once; more would gain nothing, and be in the way of others.
        retry_failed: Whether a job of an earlier run that failed is tried again; otherwise its failure is told.

    Attributes:
        executed: How many cases were run, or refused; not those whose job an earlier run had left in the queue to end.
    """

    def __init__(
        self, service: JobService, plans: Sequence[PlannedCase], *, in_flight: int, retry_failed: bool
    ) -> None:
        self._service = service
        self._waiting = deque(plans)
        self._in_flight = in_flight
        self._retry_failed = retry_failed
        self._queued: dict[str, list[PlannedCase]] = {}  # by the job, which cases that are the same share
        self._done_already: list[Job] = []
        self._revision = service.revision()
        self._look_at_all_after = 0.0
        self.executed = 0

    @property
    def are_done(self) -> bool:
        return not self._waiting and not self._queued

    def submit_some(self) -> Iterator[tuple[PlannedCase, CaseRecord]]:
        """Submit cases for a moment, as long as there is room; gives those that are refused, and so have failed.

        Raises:
            DlpError: The queue takes none for a reason that waiting does not end, such as a full disk.
        """
        until = time.monotonic() + _LONGEST_AT_ONCE_SECONDS
        while self._waiting and len(self._queued) < self._in_flight and time.monotonic() < until:
            plan = self._waiting[0]
            try:
                job = self._submitted(plan)
            except QueueFull:
                return  # others fill it; there will be room when their jobs have ended
            except RequestRefused as error:
                self._waiting.popleft()
                self.executed += 1
                yield plan, _refused(plan, error)
            else:
                self._waiting.popleft()
                self._queued.setdefault(job.uid, []).append(plan)
                if job.ended:
                    self._done_already.append(job)
                else:
                    self.executed += 1

    def ended(self) -> Iterator[tuple[PlannedCase, CaseRecord]]:
        """Those whose job has ended since the last call."""
        self._revision, changed = self._service.changed_since(self._revision)
        told, self._done_already = [*self._done_already, *changed], []
        if time.monotonic() >= self._look_at_all_after:
            self._look_at_all_after = time.monotonic() + _SECONDS_BETWEEN_LOOKS_AT_ALL
            told += self._all_as_they_are()
        for job in told:
            if job.ended and job.uid in self._queued:
                for plan in self._queued.pop(job.uid):
                    yield plan, _new_record(plan).with_job(with_times(job, datetime.now(UTC)))

    def _all_as_they_are(self) -> list[Job]:
        """For a queue that was replaced counts its changes anew, and what is forgotten is no change."""
        found = []
        for uid in list(self._queued):
            try:
                found.append(self._service.get(uid))
            except NoSuchJob:
                self._waiting.extend(self._queued.pop(uid))  # somebody forgot it while it was at work
        self._revision = min(self._revision, self._service.revision())
        return found

    def cancel(self) -> None:
        """Cancel what has not ended; what has, stays."""
        for uid in self._queued:
            with contextlib.suppress(JobAlreadyEnded, NoSuchJob):
                self._service.cancel(uid)

    def _submitted(self, plan: PlannedCase) -> Job:
        key = submission_key(plan.request, plan.fingerprint)
        job = self._service.submit(plan.request, key)
        if job.state == "cancelled" or (job.state == "failed" and self._retry_failed):
            with contextlib.suppress(JobNotFailed):  # another run tries it already
                job = self._service.retry(job.uid)
        elif job.state == "succeeded" and not result_is_there(self._service.workspace, job.uid):
            with contextlib.suppress(JobNotEnded, NoSuchJob):
                self._service.remove(job.uid)
            job = self._service.submit(plan.request, key)
        return job


def _new_record(plan: PlannedCase) -> CaseRecord:
    return CaseRecord(case_id=plan.case.case_id, fingerprint=plan.fingerprint, params=plan.request.params)


def _refused(plan: PlannedCase, error: DlpError) -> CaseRecord:
    message = _FOLDER_REFUSED if isinstance(error, PathRefused) else str(error)
    return msgspec.structs.replace(_new_record(plan), state="failed", message=message, error_code=error.code)
