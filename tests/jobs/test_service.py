"""What becomes of a submission, and of what is left of a job."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from dlp_lab.errors import (
    BadParameters,
    DiskFull,
    MalformedRequest,
    NoDicom,
    NoSuchJob,
    PathRefused,
    QueueFull,
    ResultNotDeleted,
    UnknownTask,
)
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.conftest import NewService
from tests.jobs.probe_jobs import probe, read
from tests.jobs.waiting import wait_for_end


def test_a_submitted_job_succeeds_and_its_result_is_where_the_record_says(
    service: JobService, workspace: Workspace
) -> None:
    job = service.submit(JobRequest(task="3dblur", input_dir="dicom_data/../dicom_data", params={"sigma_mm": 2}))
    assert job.params == {"sigma_mm": 2.0, "truncate": 4.0, "mode": "nearest", "cval": 0.0}
    assert job.input_dir == "dicom_data"
    ended = wait_for_end(service, job.uid)
    assert (ended.state, ended.message, ended.attempts) == ("succeeded", "done", 1)
    assert ended.output_dir == f"dlp-lab-output/{job.uid}"
    assert (workspace.root / ended.output_dir / "0007.dcm").is_file()


def test_what_can_be_refused_is_refused_at_submission(service: JobService, workspace: Workspace) -> None:
    (workspace.root / "empty").mkdir()
    refusals: list[tuple[type[Exception], JobRequest]] = [
        (UnknownTask, JobRequest(task="3dblr", input_dir="dicom_data")),
        (BadParameters, JobRequest(task="3dblur", input_dir="dicom_data", params={"sigma": 2})),
        (BadParameters, JobRequest(task="3dblur", input_dir="dicom_data", params={"sigma_mm": -2})),
        (PathRefused, JobRequest(task="3dblur", input_dir="nowhere")),
        (NoDicom, JobRequest(task="3dblur", input_dir="empty")),
    ]
    for error, request in refusals:
        with pytest.raises(error):
            service.submit(request)
    assert service.newest().jobs == []


@pytest.mark.parametrize(
    "payload",
    [
        "..",
        "../root-sibling",
        "dicom_data/../..",
        "/etc",
        "link",
        "link/x",
        "dicom_data\0",
        "~",
        "%2e%2e",
        "file:///etc",
        "dicom_data/00000",
    ],
)
def test_no_input_outside_the_root_is_read(service: JobService, workspace: Workspace, payload: str) -> None:
    (workspace.root.parent / "root-sibling").mkdir()
    (workspace.root / "link").symlink_to("/etc")
    with pytest.raises(PathRefused):
        service.submit(JobRequest(task="3dblur", input_dir=payload))


def test_a_full_queue_a_full_disk_and_a_bad_key_refuse_before_the_folder_is_looked_at(
    overseer: JobService, workspace: Workspace
) -> None:
    nowhere = JobRequest(task="3dblur", input_dir="nowhere")
    with pytest.raises(MalformedRequest, match="idempotency key"):
        overseer.submit(nowhere, key="")
    full = JobService(workspace, dispatch=False, limits=QueueLimits(least_free_bytes=2**62))
    with pytest.raises(DiskFull, match="free some space"):
        full.submit(nowhere)
    full.close()
    for _ in range(2):
        overseer.submit(JobRequest(task="3dblur", input_dir="dicom_data"))
    with pytest.raises(QueueFull):
        overseer.submit(nowhere)


def test_who_names_no_limits_obeys_those_of_the_server_that_was_started_last(
    new_service: NewService, workspace: Workspace
) -> None:
    request = JobRequest(task="3dblur", input_dir="dicom_data")
    new_service(limits=QueueLimits(max_queued=1)).close()
    command_line = JobService(workspace, dispatch=False)
    command_line.submit(request)
    with pytest.raises(QueueFull):
        command_line.submit(request)
    new_service(limits=QueueLimits(least_free_bytes=2**62)).close()
    with pytest.raises(DiskFull):
        command_line.submit(request)
    workspace.queue_limits.write_text("{")
    command_line.submit(request)
    command_line.close()


def test_a_repeated_submission_is_answered_though_the_folder_is_gone_and_the_queue_full(
    overseer: JobService, workspace: Workspace
) -> None:
    request = JobRequest(task="3dblur", input_dir="dicom_data")
    first = overseer.submit(request, key="k")
    overseer.submit(request)
    shutil.rmtree(workspace.root / "dicom_data")
    assert overseer.submit(request, key="k") == first
    assert len(overseer.newest().jobs) == 2


def test_who_only_looks_after_the_queue_starts_nothing(
    overseer: JobService, new_service: NewService, journal: Path
) -> None:
    uid = overseer.submit(probe(journal)).uid
    time.sleep(0.5)
    assert (overseer.get(uid).state, overseer.has_dispatcher()) == ("queued", False)
    wait_for_end(new_service(), uid)
    assert overseer.has_dispatcher()
    assert read(journal) == ["start x", "end x"]


def test_who_only_looks_after_the_queue_loses_no_job_when_its_folder_is_taken_away(
    overseer: JobService, workspace: Workspace, journal: Path
) -> None:
    shutil.rmtree(workspace.output_folder)
    uid = overseer.submit(probe(journal)).uid
    assert JobStore(workspace.queue_database).get(uid).state == "queued"


def test_a_failed_job_that_is_tried_again_succeeds(
    overseer: JobService, new_service: NewService, workspace: Workspace, journal: Path
) -> None:
    hidden = workspace.root / "hidden"
    uid = overseer.submit(probe(journal)).uid
    (workspace.root / "dicom_data").rename(hidden)
    service = new_service()
    assert wait_for_end(service, uid).state == "failed"
    hidden.rename(workspace.root / "dicom_data")
    service.retry(uid)
    job = wait_for_end(service, uid)
    assert (job.state, job.attempts, job.error_code) == ("succeeded", 2, None)
    assert (workspace.job_folder(uid) / "job.json").is_file()


@pytest.mark.parametrize("with_result", [False, True])
def test_a_job_is_forgotten_with_its_log_and_its_result_only_if_asked(
    service: JobService, workspace: Workspace, with_result: bool
) -> None:
    uid = service.submit(JobRequest(task="3dblur", input_dir="dicom_data")).uid
    wait_for_end(service, uid)
    assert workspace.job_log(uid).exists()
    service.remove(uid, with_result=with_result)
    with pytest.raises(NoSuchJob):
        service.get(uid)
    assert not workspace.job_log(uid).exists()
    assert workspace.job_folder(uid).exists() is not with_result


def test_a_job_whose_result_cannot_be_deleted_is_not_forgotten(service: JobService, workspace: Workspace) -> None:
    uid = service.submit(JobRequest(task="3dblur", input_dir="dicom_data")).uid
    wait_for_end(service, uid)
    elsewhere = workspace.job_folder(uid).rename(workspace.output_folder / "elsewhere")
    workspace.job_folder(uid).symlink_to(elsewhere)
    with pytest.raises(ResultNotDeleted):
        service.remove(uid, with_result=True)
    assert service.get(uid).state == "succeeded"
    service.remove(uid)
    assert (elsewhere / "job.json").exists()


def test_a_full_disk_refuses_a_job_that_is_tried_again(new_service: NewService, journal: Path) -> None:
    service = new_service()
    uid = service.submit(probe(journal, act="bug")).uid
    wait_for_end(service, uid)
    with pytest.raises(DiskFull):
        new_service(limits=QueueLimits(least_free_bytes=2**62)).retry(uid)
    assert service.get(uid).state == "failed"


def test_a_log_is_read_in_parts_that_cut_no_character(service: JobService, workspace: Workspace, journal: Path) -> None:
    uid = wait_for_end(service, service.submit(probe(journal)).uid).uid
    text = "ä" * 40_000 + "\N{GRINNING FACE}" * 20_000
    workspace.job_log(uid).write_text("x" + text, encoding="utf-8")
    parts, offset = [], 0
    while (part := service.log_part(uid, offset)).text:
        parts.append(part.text)
        offset = part.next_offset
    assert "".join(parts) == "x" + text
    assert len(parts) > 2
