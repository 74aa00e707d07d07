"""Several who would start the jobs of a queue, and those who vanish."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlp_lab.jobs import dispatcher
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.conftest import NewService
from tests.jobs.probe_jobs import probe, read
from tests.jobs.waiting import lock_is_held, process_is_gone, wait_for_end
from tests.patience import ENDLESS_S, wait_until


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
time.sleep(10000)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(workspace.root)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        child = int(server.stdout.readline())
        server.kill()
        service = new_service()
        job = service.submit(probe(journal))
        try:
            assert wait_for_end(service, job.uid).state == "succeeded"
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
    uid = second.submit(probe(journal, seconds=3)).uid
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
        uid = uid or service.submit(probe(journal, seconds=3)).uid
        wait_until(lambda: len(read(journal)) == attempt)  # noqa: B023
        service.close()
    job = wait_for_end(new_service(slots=1), uid)
    assert (job.state, job.attempts) == ("succeeded", 6)


@pytest.fixture(params=["removed", "renamed"])
def lose_output(request: pytest.FixtureRequest, workspace: Workspace) -> Callable[[], None]:
    """Takes the output folder away while it is in use."""

    def lose() -> None:
        away = workspace.output_folder.rename(workspace.root / "put away")
        while request.param == "removed" and away.exists():  # what is at work may just write there
            shutil.rmtree(away, ignore_errors=True)

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
    lost = service.submit(probe(journal, label="lost", seconds=ENDLESS_S)).uid
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
    wait_until(lambda: process_is_gone(child))
    assert "end x" not in read(journal)  # it was not the job's own end that ended it
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
            uid = submitter.submit(probe(journal, seconds=ENDLESS_S)).uid
            submitter.close()
        wait_until(lambda: len(read(journal)) == attempt)  # noqa: B023
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    job = wait_for_end(new_service(slots=1), uid)
    assert (job.state, job.error_code) == ("failed", "SERVER_STOPPED")
    assert "the server stopped while the job was running" in job.message
