"""Jobs that fail, and what fails around them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dlp_lab.errors import (
    DiskFull,
)
from dlp_lab.jobs import dispatcher
from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.updates import Update
from dlp_lab.store.workspace import Workspace
from tests.jobs.conftest import NewService
from tests.jobs.probe_jobs import probe, read
from tests.jobs.waiting import wait_for_end
from tests.patience import ENDLESS_S, wait_until
from tests.phantom import write_phantom_series


def test_a_job_that_fails_says_why_and_leaves_no_folder(
    service: JobService, workspace: Workspace, journal: Path
) -> None:
    job = wait_for_end(service, service.submit(probe(journal, act="refuse")).uid)
    assert (job.state, job.error_code, job.message) == ("failed", "TASK_RESULT_INVALID", "the probe refuses")
    assert job.output_dir is None
    assert [path.name for path in workspace.output_folder.iterdir()] == [".dlp-lab"]


def test_a_series_that_breaks_after_submission_fails_with_the_dicom_reason(
    new_service: NewService, workspace: Workspace, journal: Path
) -> None:
    series = write_phantom_series(workspace.root / "other")
    service = new_service(slots=1)
    first = service.submit(probe(journal, seconds=ENDLESS_S))
    wait_until(lambda: read(journal))
    broken = service.submit(JobRequest(task="3dblur", input_dir="other"))
    series.files[3].unlink()
    service.cancel(first.uid)
    job = wait_for_end(service, broken.uid)
    assert (job.state, job.error_code, job.attempts) == ("failed", "MISSING_SLICES", 1)
    assert series.files[2].name in job.message


def test_a_job_whose_input_vanishes_while_it_runs_says_so(
    service: JobService, workspace: Workspace, journal: Path
) -> None:
    request = probe(journal, label=str(workspace.root / "dicom_data"), act="lose-input")
    job = wait_for_end(service, service.submit(request).uid)
    assert (job.state, job.error_code) == ("failed", "UNREADABLE")
    assert "of the input could not be read (No such file or directory); was it moved meanwhile?" in job.message


def test_a_worker_that_is_killed_once_is_started_again(service: JobService, journal: Path) -> None:
    job = wait_for_end(service, service.submit(probe(journal, act="crash-once")).uid)
    assert (job.state, job.attempts) == ("succeeded", 2)
    assert read(journal) == ["start x", "start x", "end x"]


def test_a_worker_that_is_killed_twice_fails_the_job_and_names_the_signal(service: JobService, journal: Path) -> None:
    job = wait_for_end(service, service.submit(probe(journal, act="crash")).uid)
    assert (job.state, job.error_code, job.attempts) == ("failed", "WORKER_CRASHED", 2)
    assert "SIGKILL" in job.message
    assert read(journal) == ["start x"] * 2


def test_jobs_wait_while_no_process_can_be_started(
    new_service: NewService, workspace: Workspace, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted(LocalExecutor):
        refusals = 4

        def start(self, job: Job) -> None:
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            super().start(job)

    monkeypatch.setattr(dispatcher, "_SECONDS_AFTER_ERROR", 0.01)
    service = new_service(executor=Exhausted(workspace, 1))
    uids = [service.submit(probe(journal, label=str(number))).uid for number in range(2)]
    assert [wait_for_end(service, uid).state for uid in uids] == ["succeeded", "succeeded"]
    assert read(journal) == ["start 0", "end 0", "start 1", "end 1"]


def test_a_job_that_could_not_be_started_waits_again_though_that_could_not_be_recorded_at_once(
    new_service: NewService, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, put_back = LocalExecutor.start, JobStore.put_back
    troubles: list[Exception] = [OSError(errno.EAGAIN, "no process"), DiskFull("no room")]

    def start_or_not(executor: LocalExecutor, job: Job) -> None:
        if len(troubles) == 2:
            raise troubles.pop(0)
        start(executor, job)

    def put_back_or_not(store: JobStore, uid: str, attempt: int, message: str = "") -> bool:
        if troubles:
            raise troubles.pop()
        return put_back(store, uid, attempt, message)

    monkeypatch.setattr(LocalExecutor, "start", start_or_not)
    monkeypatch.setattr(JobStore, "put_back", put_back_or_not)
    service = new_service()
    job = service.submit(probe(journal))
    ended = wait_for_end(service, job.uid)
    assert (ended.state, ended.attempts) == ("succeeded", 2)


def test_an_error_that_nobody_foresaw_does_not_end_the_work_on_the_queue(
    service: JobService, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates, troubles = LocalExecutor.updates, [RuntimeError("can't start new thread")]

    def updates_or_not(executor: LocalExecutor, timeout: float) -> list[Update]:
        if troubles:
            raise troubles.pop()
        return updates(executor, timeout)

    monkeypatch.setattr(LocalExecutor, "updates", updates_or_not)
    wait_until(lambda: not troubles)
    job = service.submit(probe(journal))
    assert wait_for_end(service, job.uid).state == "succeeded"
