"""The queue as one user sees it: their own jobs, and those that have no owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from dlp_lab.errors import DlpError, NoSuchFile, NoSuchJob
from dlp_lab.jobs.job import BatchVerdict, Job, JobList, JobLogPart, JobRequest, refusal_of
from dlp_lab.jobs.job_filter import ALL_JOBS, JobFilter

if TYPE_CHECKING:
    from dlp_lab.jobs.drawing import Subject
    from dlp_lab.jobs.service import JobService  # loads numpy, which must not delay JupyterLab's start


class UserJobs:
    """A `JobService` in which the jobs of other users do not exist. Every route goes through it.

    Args:
        service: All jobs.
        user: Who asks; None where users are not told apart, and see all.
    """

    def __init__(self, service: JobService, user: str | None) -> None:
        self._service = service
        self._user = user

    def submit(self, request: JobRequest, key: str | None = None) -> Job:
        """`JobService.submit`; the job is the user's."""
        return self._service.submit(request, key, self._user)

    def verdict(self, request: JobRequest, key: str | None = None) -> BatchVerdict:
        """What became of one request of several."""
        try:
            return BatchVerdict(job=self.submit(request, key))
        except DlpError as error:
            return BatchVerdict(error=refusal_of(error))

    def get(self, uid: str) -> Job:
        """The record of a job.

        Raises:
            NoSuchJob: There is none of that uid that the user may see.
        """
        job = self._service.get(uid)
        if self._user is not None and job.owner not in (None, self._user):
            raise NoSuchJob("no job has that uid; the uid is in the answer to the submission")
        return job

    def newest(self, limit: int, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> JobList:
        """`JobService.newest` of those that the user may see."""
        if before is not None:
            self.get(before)
        return self._service.newest(limit, msgspec.structs.replace(wanted, visible_to=self._user), before)

    # An owner never changes, so what was seen may be changed.

    def cancel(self, uid: str) -> Job:
        """`JobService.cancel`."""
        self.get(uid)
        return self._service.cancel(uid)

    def retry(self, uid: str) -> Job:
        """`JobService.retry`."""
        self.get(uid)
        return self._service.retry(uid)

    def remove(self, uid: str, *, with_result: bool) -> None:
        """`JobService.remove`."""
        self.get(uid)
        self._service.remove(uid, with_result=with_result)

    def log_part(self, uid: str, offset: int) -> JobLogPart:
        """`JobService.log_part`."""
        self.get(uid)
        return self._service.log_part(uid, offset)

    def files(self, uid: str) -> list[tuple[str, int]]:
        """Names and sizes of the files of a job's result.

        Raises:
            NoSuchFile: It has no result.
        """
        job = self.get(uid)
        if job.state != "succeeded":
            raise NoSuchFile(f"the job has no result, it is {job.state}")
        return self._service.workspace.result_files(uid)

    def open_file(self, uid: str, name: str) -> BinaryIO:
        """A file of a job's result, for reading.

        Raises:
            NoSuchFile: It has no result, or the result has no file of that name.
        """
        self.files(uid)
        return self._service.workspace.open_result_file(uid, name)

    def subject(self, uid: str) -> Subject:
        """What a picture of a job's result is of.

        Raises:
            NoSuchFile: It has no result.
            NoPicture: The result is no image that can be shown.
        """
        from dlp_lab.jobs.result_subject import subject_of  # loads numpy

        return subject_of(self._service.workspace, self.get(uid), [name for name, _ in self.files(uid)])
