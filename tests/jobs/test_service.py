from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.errors import (
    BadParameters,
    DiskFull,
    JobAlreadyEnded,
    MalformedRequest,
    NoDicom,
    NoSuchJob,
    PathRefused,
    QueueFull,
    ResultNotDeleted,
    UnknownTask,
)
from dlp_lab.jobs import dispatcher
from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.updates import Update
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import lock_is_held, process_is_gone, wait_for_end, wait_until
from tests.phantom import write_phantom_series

NewService = Callable[..., JobService]


@pytest.fixture
def new_service(workspace: Workspace, probe_package: Path) -> Iterator[NewService]:
    services: list[JobService] = []

    def make(slots: int = 2, **options: Any) -> JobService:
        services.append(JobService(workspace, slots=slots, **options))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.fixture
def overseer(workspace: Workspace) -> Iterator[JobService]:
    """A service that starts no job."""
    service = JobService(workspace, dispatch=False, limits=QueueLimits(max_queued=2))
    yield service
    service.close()


@pytest.fixture
def service(new_service: NewService) -> JobService:
    return new_service()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def probe(journal: Path, label: str = "x", **params: object) -> JobRequest:
    return JobRequest(task="probe", input_dir="dicom_data", params={"journal": str(journal), "label": label, **params})


def read(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


def test_a_submitted_job_succeeds_and_its_result_is_where_the_record_says(
    service: JobService, workspace: Workspace
) -> None:
    job = service.submit(JobRequest(task="3dblur", input_dir="dicom_data/../dicom_data", params={"sigma_mm": 2}))
    assert job.params == {"sigma_mm": 2.0, "truncate": 4.0, "mode": "nearest"}
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
    service.submit(probe(journal, seconds=0.5))
    broken = service.submit(JobRequest(task="3dblur", input_dir="other"))
    series.files[3].unlink()
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


def test_a_forked_child_of_a_killed_process_does_not_keep_others_from_the_queue(
    new_service: NewService, workspace: Workspace, journal: Path
) -> None:
    program = """
import os, sys, time
from pathlib import Path
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
service = JobService(Workspace(Path(sys.argv[1])))
while not service.dispatches:
    time.sleep(0.01)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(workspace.root)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        child = int(server.stdout.readline())
        server.kill()
        service = new_service()
        job = service.submit(probe(journal))
        try:
            assert wait_for_end(service, job.uid, 10).state == "succeeded"
        finally:
            os.kill(child, signal.SIGKILL)


def test_two_who_ask_at_once_whether_jobs_are_started_do_not_take_each_other_for_the_one_who_does(
    overseer: JobService, workspace: Workspace
) -> None:
    with workspace.dispatcher_lock.open("w") as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)  # as the other one does in that moment
        assert not overseer.has_dispatcher()


def test_what_a_killed_server_left_of_a_result_is_removed_though_the_job_is_given_up(
    overseer: JobService, new_service: NewService, workspace: Workspace, journal: Path
) -> None:
    uid = overseer.submit(probe(journal)).uid
    store = JobStore(workspace.queue_database)
    for _ in range(dispatcher.ATTEMPTS_AFTER_SERVER_STOP - 1):
        job = store.claim_next()
        assert job and store.record_server_stop(uid, job.attempts, "SERVER_STOPPED", "", attempts_allowed=9)
    assert store.claim_next()
    left = workspace.output_folder / f".{uid}.partial-1"
    left.mkdir()
    assert wait_for_end(new_service(), uid).error_code == "SERVER_STOPPED"
    assert not left.exists()


def test_never_more_jobs_run_than_allowed_and_they_start_in_order(new_service: NewService, journal: Path) -> None:
    service = new_service(slots=2)
    uids = [service.submit(probe(journal, label=str(n), seconds=0.5)).uid for n in range(6)]
    for uid in uids:
        assert wait_for_end(service, uid).state == "succeeded"
    running = most = 0
    for line in read(journal):
        running += 1 if line.startswith("start") else -1
        most = max(most, running)
    assert most == 2
    started = [service.get(uid).started_at or "" for uid in uids]
    assert started == sorted(started)


def test_who_waits_for_a_change_is_told_of_it_and_of_none_that_is_known(new_service: NewService, journal: Path) -> None:
    service = new_service()
    known = service.changes
    uid = service.submit(probe(journal)).uid
    while not service.get(uid).ended:
        before, known = known, service.wait_for_change(known, 60)
        assert known != before
    while (after := service.wait_for_change(known, 0.5)) != known:
        known = after
    assert service.wait_for_change(known, 0.1) == known


def test_one_slot_runs_one_job_after_the_other(new_service: NewService, journal: Path) -> None:
    service = new_service(slots=1)
    uids = [service.submit(probe(journal, label=str(n), seconds=0.05)).uid for n in range(4)]
    for uid in uids:
        wait_for_end(service, uid)
    assert read(journal) == [f"{word} {n}" for n in range(4) for word in ("start", "end")]


def test_a_running_job_is_cancelled_within_three_seconds_without_a_trace(
    service: JobService, workspace: Workspace, journal: Path
) -> None:
    uid = service.submit(probe(journal, seconds=60)).uid
    wait_until(lambda: read(journal))
    asked = time.monotonic()
    service.cancel(uid)
    assert wait_for_end(service, uid).state == "cancelled"
    assert time.monotonic() - asked < 3
    assert [path.name for path in workspace.output_folder.iterdir()] == [".dlp-lab"]
    with pytest.raises(JobAlreadyEnded):
        service.cancel(uid)


def test_a_waiting_job_that_is_cancelled_never_starts(new_service: NewService, journal: Path) -> None:
    service = new_service(slots=1)
    first = service.submit(probe(journal, label="first", seconds=0.5))
    second = service.submit(probe(journal, label="second"))
    assert service.cancel(second.uid).state == "cancelled"
    third = service.submit(probe(journal, label="third"))
    for job in (first, third):
        wait_for_end(service, job.uid)
    assert read(journal) == ["start first", "end first", "start third", "end third"]


def test_two_services_on_one_queue_run_every_job_once(new_service: NewService, journal: Path) -> None:
    one, other = new_service(slots=2), new_service(slots=2)
    uids = [service.submit(probe(journal, label=str(n))).uid for n in range(10) for service in (one, other)]
    for uid in uids:
        assert wait_for_end(other, uid).state == "succeeded"
    assert sorted(line for line in read(journal) if line.startswith("start")) == sorted(
        f"start {n}" for n in range(10) for _ in range(2)
    )
    assert sorted((one.dispatches, other.dispatches)) == [False, True]


def test_a_service_takes_over_when_the_one_that_starts_jobs_closes(new_service: NewService, journal: Path) -> None:
    first = new_service(slots=1)
    wait_until(lambda: first.dispatches)
    second = new_service(slots=1)
    uid = second.submit(probe(journal, seconds=1)).uid
    wait_until(lambda: read(journal))
    first.close()
    job = second.get(uid)
    assert job.state in ("queued", "running")
    job = wait_for_end(second, uid)
    assert (job.state, job.attempts) == ("succeeded", 2)
    assert second.dispatches
    assert read(journal) == ["start x", "start x", "end x"]


def test_a_job_may_be_put_back_any_number_of_times(new_service: NewService, journal: Path) -> None:
    uid = ""
    for attempt in range(1, 6):
        service = new_service(slots=1)
        uid = uid or service.submit(probe(journal, seconds=1)).uid
        wait_until(lambda: len(read(journal)) == attempt)  # noqa: B023
        service.close()
    job = wait_for_end(new_service(slots=1), uid)
    assert (job.state, job.attempts) == ("succeeded", 6)


def test_listeners_hear_of_changes_that_another_service_made(new_service: NewService, journal: Path) -> None:
    first = new_service()
    wait_until(lambda: first.dispatches)
    second = new_service()
    heard: list[Job] = []
    second.add_listener(heard.append)
    uid = first.submit(probe(journal, seconds=1.0)).uid
    wait_for_end(first, uid)
    wait_until(lambda: heard and heard[-1].ended)
    states = [job.state for job in heard if job.uid == uid]
    assert states[0] in ("queued", "running")
    assert states[-1] == "succeeded"
    progress = [job.progress for job in heard]
    assert progress == sorted(progress)
    assert any(0.3 < value < 0.8 for value in progress)


def test_a_listener_that_fails_stops_nothing(service: JobService, journal: Path) -> None:
    def fail(job: Job) -> None:
        raise RuntimeError

    heard: list[Job] = []
    service.add_listener(fail)
    service.add_listener(heard.append)
    wait_for_end(service, service.submit(probe(journal)).uid)
    wait_until(lambda: heard and heard[-1].state == "succeeded")


@pytest.fixture(params=["removed", "renamed"])
def lose_output(request: pytest.FixtureRequest, workspace: Workspace) -> Callable[[], None]:
    """Takes the output folder away while it is in use."""

    def lose() -> None:
        if request.param == "removed":
            shutil.rmtree(workspace.output_folder)
        else:
            workspace.output_folder.rename(workspace.root / "put away")

    return lose


def test_jobs_are_taken_and_run_after_the_output_folder_was_taken_away(
    new_service: NewService, workspace: Workspace, journal: Path, lose_output: Callable[[], None]
) -> None:
    first, second = new_service(), new_service()
    wait_for_end(first, first.submit(probe(journal)).uid)
    lose_output()
    uids = [service.submit(probe(journal, label=str(n))).uid for n, service in enumerate((first, second))]
    queue = JobStore(workspace.queue_database)
    for uid in uids:
        wait_until(lambda: queue.get(uid).ended)  # noqa: B023
        assert (queue.get(uid).state, queue.get(uid).attempts) == ("succeeded", 1)
        assert (workspace.job_folder(uid) / "job.json").is_file()
        assert workspace.job_log(uid).is_file()
    assert read(journal).count("start 0") == read(journal).count("start 1") == 1
    assert sorted((first.dispatches, second.dispatches)) == [False, True]
    assert {job.uid for job in first.newest().jobs} == {job.uid for job in second.newest().jobs} == set(uids)


def test_a_job_whose_queue_was_taken_away_is_stopped_and_gives_its_slot_to_others(
    new_service: NewService, workspace: Workspace, journal: Path, lose_output: Callable[[], None]
) -> None:
    service = new_service(slots=1)
    lost = service.submit(probe(journal, label="lost", seconds=60)).uid
    wait_until(lambda: read(journal))
    lose_output()
    assert wait_for_end(service, service.submit(probe(journal)).uid).state == "succeeded"
    assert not workspace.job_folder(lost).exists()


SERVER = """
import sys, time
from pathlib import Path
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.store.workspace import Workspace
service = JobService(Workspace(Path(sys.argv[1])), slots=1)
while True:
    time.sleep(1)
"""


def start_server(workspace: Workspace) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SERVER, str(workspace.root)])


def test_a_job_outlives_a_server_that_is_killed(new_service: NewService, workspace: Workspace, journal: Path) -> None:
    server = start_server(workspace)
    wait_until(lambda: lock_is_held(workspace.dispatcher_lock))
    service = new_service(slots=1)
    uid = service.submit(probe(journal, seconds=3, act="child")).uid
    waiting = service.submit(probe(journal, label="waiting")).uid
    wait_until(lambda: any("child" in line for line in read(journal)))
    child = int(read(journal)[1].split()[1])
    assert not service.dispatches
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    wait_until(lambda: process_is_gone(child), 1)
    job = wait_for_end(service, uid)
    assert (job.state, job.attempts) == ("succeeded", 2)
    assert wait_for_end(service, waiting).state == "succeeded"
    assert (workspace.job_folder(uid) / "job.json").is_file()


def test_a_job_whose_servers_always_die_fails_with_that_reason(
    new_service: NewService, workspace: Workspace, journal: Path
) -> None:
    uid = ""
    for attempt in (1, 2, 3):
        server = start_server(workspace)
        wait_until(lambda: lock_is_held(workspace.dispatcher_lock))
        if attempt == 1:
            submitter = new_service(slots=1)
            uid = submitter.submit(probe(journal, seconds=60)).uid
            submitter.close()
        wait_until(lambda: len(read(journal)) == attempt)  # noqa: B023
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    job = wait_for_end(new_service(slots=1), uid)
    assert (job.state, job.error_code) == ("failed", "SERVER_STOPPED")
    assert "the server stopped while the job was running" in job.message
