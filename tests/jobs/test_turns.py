"""Which job runs when, and who hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlp_lab.errors import (
    JobAlreadyEnded,
)
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.conftest import NewService
from tests.jobs.probe_jobs import probe, read
from tests.jobs.waiting import wait_for_end
from tests.patience import ENDLESS_S, wait_until


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


def test_a_running_job_is_cancelled_without_a_trace(service: JobService, workspace: Workspace, journal: Path) -> None:
    uid = service.submit(probe(journal, seconds=ENDLESS_S)).uid
    wait_until(lambda: read(journal))
    service.cancel(uid)
    assert wait_for_end(service, uid).state == "cancelled"
    assert [path.name for path in workspace.output_folder.iterdir()] == [".dlp-lab"]
    with pytest.raises(JobAlreadyEnded):
        service.cancel(uid)


def test_a_waiting_job_that_is_cancelled_never_starts(new_service: NewService, journal: Path) -> None:
    service = new_service(slots=1)
    first = service.submit(probe(journal, label="first", seconds=ENDLESS_S))
    wait_until(lambda: read(journal))
    second = service.submit(probe(journal, label="second"))
    assert service.cancel(second.uid).state == "cancelled"
    third = service.submit(probe(journal, label="third"))
    service.cancel(first.uid)
    for job in (first, third):
        wait_for_end(service, job.uid)
    assert read(journal) == ["start first", "start third", "end third"]


def test_listeners_hear_of_changes_that_another_service_made(new_service: NewService, journal: Path) -> None:
    first = new_service()
    wait_until(lambda: first.dispatches)
    second = new_service()
    heard: list[Job] = []
    second.add_listener(heard.append)
    uid = first.submit(probe(journal, seconds=2.0)).uid
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
