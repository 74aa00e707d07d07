"""Jobs from Python: `submit(...)` and the handle it returns."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from dlp_lab.dicom.options import checked_form, read_options
from dlp_lab.errors import BadParameters, JobFailed, NoSuchJob
from dlp_lab.jobs.job import Job, JobRequest, OutputForm
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace

if TYPE_CHECKING:
    from tqdm.auto import tqdm

_POLL_SECONDS = 0.05

_services: dict[tuple[int, Workspace], JobService] = {}
_services_lock = threading.Lock()


def job_service(workspace: Workspace) -> JobService:
    """This process's service of a workspace; made at the first call, closed when Python exits."""
    key = os.getpid(), workspace  # a forked process must not use its parent's
    with _services_lock:
        service = _services.get(key)
        if service is None:
            service = _services[key] = JobService(workspace)
            atexit.register(service.close)
        return service


class JobHandle:
    """A submitted job.

    Attributes:
        uid: Its unguessable name.
    """

    def __init__(self, service: JobService, uid: str) -> None:
        self._service = service
        self.uid = uid

    @property
    def job(self) -> Job:
        """Its record, as of now."""
        return self._service.get(self.uid)

    @property
    def input_path(self) -> Path:
        """Absolute path of the folder that it works on.

        Raises:
            PathRefused: It is not there any more.
        """
        return self._service.workspace.input_folder(self.job.input_dir)

    @property
    def output_path(self) -> Path:
        """Absolute path of the result's folder.

        Raises:
            JobFailed: There is no result: it has not ended yet, failed or was cancelled.
        """
        job = self.job
        if job.state != "succeeded":
            hint = job.message if job.ended else "call wait() first"
            raise JobFailed(f"the job has no result, it is {job.state}: {hint}")
        return self._service.workspace.job_folder(self.uid)

    def wait(self, timeout: float | None = None, progress: bool = True) -> JobHandle:
        """Wait until the job has succeeded.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes. The job runs on after a timeout.
            progress: Whether to show a progress bar.

        Returns:
            The handle itself, so that `submit(...).wait().output_path` works.

        Raises:
            JobFailed: It failed or was cancelled; the message says why.
            NoSuchJob: It was removed meanwhile, or its queue with the output folder.
            TimeoutError: It has not ended in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with _progress_bar(self._awaited().task) if progress else contextlib.nullcontext() as bar:
            changes = self._service.changes
            while not (job := self._awaited()).ended:
                _show(bar, job, job.message)
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(f"the job is still {job.state} after {timeout:g} s; it runs on")
                changes = self._service.wait_for_change(changes, _POLL_SECONDS)
            _show(bar, job, job.state)
        if job.state != "succeeded":
            raise JobFailed(f"{job.error_code}: {job.message}" if job.error_code else job.message)
        return self

    def _awaited(self) -> Job:
        try:
            return self.job
        except NoSuchJob:
            raise NoSuchJob(
                "the job is no longer in the queue: it was removed, or the output folder was moved or removed "
                "meanwhile; submit it again"
            ) from None

    def cancel(self) -> Job:
        """Cancel the job.

        Raises:
            JobAlreadyEnded: It has ended.
        """
        return self._service.cancel(self.uid)

    def retry(self) -> JobHandle:
        """Put the job in the queue again, after it failed or was cancelled.

        Raises:
            JobNotFailed: It waits, runs or has succeeded.
        """
        self._service.retry(self.uid)
        return self

    def _repr_html_(self) -> str:
        return self.job._repr_html_()

    def __repr__(self) -> str:
        job = self.job
        return f"<job {self.uid}: {job.task}, {job.state}>"


def _progress_bar(task: str) -> tqdm[NoReturn]:
    from tqdm.auto import tqdm  # in a notebook this loads ipywidgets, which scripts need not have

    return tqdm(total=100, desc=task, bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}")


def _show(bar: tqdm[NoReturn] | None, job: Job, message: str) -> None:
    if bar is not None:
        bar.set_description_str(f"{job.task}: {message}", refresh=False)
        bar.update(round(100 * job.progress) - bar.n)


def submit(
    task: str,
    input_dir: Path | str,
    *,
    keep_hdf5: bool = False,
    root: Path | str | None = None,
    read: dict[str, Any] | None = None,
    priority: int = 0,
    output_form: OutputForm = "series",
    **params: Any,
) -> JobHandle:
    """Submit a job, such as `submit("3dblur", "study1/series2", sigma_mm=2)`.

    In a kernel of a Jupyter server with dlp-lab the job is one of the server's jobs. Elsewhere it runs in the
    background of this process, and waits for another one should this process end.

    Args:
        task: Name of an installed task.
        input_dir: Folder with the DICOM series: absolute, or relative to the current folder.
        keep_hdf5: Whether to keep source and result as HDF5 + JSON too.
        root: Folder that holds input and output; `$DLP_LAB_ROOT` or the current folder by default.
        read: Options of `read_series`, such as `{"series": "1.2.3"}`.
        priority: -100 to 100; jobs of a higher one start first.
        output_form: "series" for files like the source's, "multiframe" for one enhanced file, "parametric_map" for one
            file of floating point values.
        params: The task's parameters.

    Raises:
        UnknownTask, BadParameters, PathRefused, DicomError: See `JobService.submit`.
    """
    workspace = Workspace.from_environment(root)
    service = job_service(workspace)
    request = job_request(
        workspace,
        task,
        input_dir,
        keep_hdf5=keep_hdf5,
        read=read or {},
        priority=priority,
        output_form=output_form,
        **params,
    )
    return JobHandle(service, service.submit(request).uid)


def job_request(
    workspace: Workspace,
    task: str,
    input_dir: Path | str,
    *,
    keep_hdf5: bool,
    read: dict[str, Any],
    priority: int,
    output_form: str,
    **params: Any,
) -> JobRequest:
    """What is asked, from values as `submit` takes them.

    Raises:
        BadParameters, PathRefused: A value is none of those allowed, or the folder is not inside the root.
    """
    try:
        return msgspec.convert(
            {
                "task": task,
                "input_dir": workspace.relative(input_dir),
                "params": _plain(params),
                "keep_hdf5": keep_hdf5,
                "read": read_options(_plain(read)),
                "priority": priority,
                "output_form": checked_form(output_form),
            },
            JobRequest,
        )
    except msgspec.ValidationError as error:
        raise BadParameters(f"{error}") from None


def _plain(value: Any) -> Any:
    """The same value without texts of a kind of their own, such as pydicom's UIDs, which JSON knows nothing of."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
