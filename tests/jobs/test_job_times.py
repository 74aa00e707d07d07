from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.job_filter import job_filter
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.job_times import with_times

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = Job(
    uid="0" * 32,
    task="3dblur",
    input_dir="case",
    params={},
    keep_hdf5=False,
    state="running",
    submitted_at="2025-12-31T23:00:00.000Z",
    started_at="2026-01-01T00:00:00.000Z",
)


def times(seconds: float, **changes: object) -> tuple[float | None, float | None]:
    """What is told of a job so long after its start."""
    job = with_times(msgspec.structs.replace(RUNNING, **changes), START + timedelta(seconds=seconds))
    return job.elapsed_seconds, job.seconds_left


@pytest.mark.parametrize(
    ("seconds", "progress", "left"), [(60, 0.25, 180), (10, 0.5, 10), (10, 1, 0), (10, 0.03, 323.3)]
)
def test_a_job_takes_on_as_it_did_until_now(seconds: float, progress: float, left: float) -> None:
    assert times(seconds, progress=progress) == (seconds, left)


@pytest.mark.parametrize(("seconds", "progress"), [(1.9, 0.9), (100, 0.02), (100, 0)])
def test_nothing_is_said_of_what_is_left_while_it_is_too_early(seconds: float, progress: float) -> None:
    assert times(seconds, progress=progress) == (seconds, None)


def test_what_has_ended_took_its_time_whenever_it_is_asked_for() -> None:
    ended = {"ended_at": "2026-01-01T00:00:02.340Z", "progress": 0.5}
    for state in ("succeeded", "failed", "cancelled"):
        assert times(99, state=state, **ended) == (2.34, None)


def test_what_waits_is_not_at_work_also_if_it_was_once() -> None:
    assert times(99, state="queued", progress=0.5) == (None, None)
    assert times(99, state="cancelled", started_at=None, ended_at="2026-01-01T00:00:01.000Z") == (None, None)


def test_a_clock_that_was_put_back_makes_no_time_negative() -> None:
    assert times(-3600, progress=0.5) == (0, None)


def test_the_queue_tells_the_times_in_answers_and_in_every_listing(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    uid = store.add(JobRequest(task="3dblur", input_dir="case")).uid
    assert store.get(uid).elapsed_seconds is None
    claimed = store.claim_next()
    assert claimed is not None
    for job in (store.get(uid), store.newest(9)[0], store.newest(9, job_filter(task="3dblur"))[0]):
        assert job.elapsed_seconds is not None
        assert 0 <= job.elapsed_seconds < 60
    store.finish(uid, claimed.attempts, "failed", "no")
    ended = store.get(uid)
    assert ended.started_at
    assert ended.ended_at
    took = datetime.fromisoformat(ended.ended_at) - datetime.fromisoformat(ended.started_at)
    assert ended.elapsed_seconds == took.total_seconds()
