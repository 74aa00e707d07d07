"""Queues of older versions, and of newer ones."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest

from dlp_lab.errors import (
    QueueUnusable,
)
from dlp_lab.jobs import queue_database
from dlp_lab.jobs.job import GroupCounts, JobRequest
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import IdempotencyKey, JobStore
from dlp_lab.jobs.job_store_schema import SCHEMA_VERSION, STEPS
from tests.jobs.stored_jobs import REQUEST

GOLDEN = Path(__file__).parent.parent / "golden"


def test_a_queue_of_version_2_is_taken_over_and_its_jobs_may_be_hindered(queue_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(queue_path)) as older:
        for step in STEPS[:2]:
            for statement in step:
                older.execute(statement)
        older.execute(
            "INSERT INTO jobs (uid, task, input_dir, params, keep_hdf5, read, state, submitted_at, revision)"
            " VALUES ('b', '3dblur', 'a', '{}', 0, '{}', 'queued', '2024-01-02T03:04:05.678Z', 1)"
        )
        older.execute("PRAGMA user_version = 2")
        older.commit()
    store = JobStore(queue_path)
    job = store.claim_next()
    assert job is not None
    assert store.record_hindrance("b", 1, "DISK_FULL", "there is no room")
    assert store.get("b").message.startswith("there is no room; tried again at ")
    assert queue_path.with_name("jobs.sqlite.version-2").exists()


def test_a_queue_of_a_newer_version_is_refused_and_left_alone(store: JobStore, queue_path: Path) -> None:
    store.close()
    with sqlite3.connect(queue_path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = queue_path.read_bytes()
    with pytest.raises(QueueUnusable, match="newer"):
        JobStore(queue_path)
    assert queue_path.read_bytes() == before


def test_a_queue_of_version_1_is_taken_over_and_a_copy_of_it_kept(queue_path: Path) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", queue_path)
    store = JobStore(queue_path)
    jobs = {job.input_dir: job for job in store.newest(9)}
    assert {folder: (job.state, job.attempts, job.priority) for folder, job in jobs.items()} == {
        "a": ("succeeded", 1, 0),
        "b": ("failed", 1, 0),
        "c": ("running", 1, 0),
        "d": ("queued", 0, 0),
    }
    assert (jobs["a"].params, jobs["a"].output_dir, jobs["a"].warnings) == ({"sigma_mm": 2.0}, "out/a", ["odd"])
    assert (jobs["b"].error_code, jobs["b"].read.gaps, jobs["c"].keep_hdf5) == ("SHEARED", "pad", True)
    assert {job.output_form for job in jobs.values()} == {"series"}
    floats = store.add(msgspec.structs.replace(REQUEST, output_form="parametric_map"))
    assert store.get(floats.uid).output_form == "parametric_map"
    assert store.retry(jobs["b"].uid).position == 1
    copy = queue_path.with_name("jobs.sqlite.version-1")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)
        assert older.execute("SELECT input_dir, state FROM jobs ORDER BY seq").fetchall() == [
            (folder, job.state) for folder, job in sorted(jobs.items())
        ]


def test_a_queue_of_version_2_is_taken_over_and_its_jobs_have_no_owner(queue_path: Path) -> None:
    shutil.copy(GOLDEN / "queue-2.sqlite", queue_path)
    store = JobStore(queue_path)
    second, first = store.newest(9)
    assert [(job.input_dir, job.owner, job.priority) for job in (first, second)] == [("a", None, 3), ("b", None, 0)]
    request = JobRequest(task="3dblur", input_dir="a", params={"sigma_mm": 2.0}, priority=3, output_form="multiframe")
    assert store.submitted_with(IdempotencyKey.of("one", request)) == first
    assert store.submitted_with(IdempotencyKey.of("one", request, "ann")) is None
    assert store.add(request, IdempotencyKey.of("one", request, "ann"), owner="ann").owner == "ann"


def test_a_queue_of_version_4_is_taken_over_and_its_jobs_are_of_no_group(queue_path: Path) -> None:
    shutil.copy(GOLDEN / "queue-4.sqlite", queue_path)
    store = JobStore(queue_path)
    second, first = store.newest(9)
    assert [(job.input_dir, job.owner, job.group) for job in (first, second)] == [("a", "ann", None), ("b", None, None)]
    asked = JobRequest(task="3dblur", input_dir="a", params={"sigma_mm": 2.0})
    assert store.submitted_with(IdempotencyKey.of("one", asked, "ann")) == first
    added = store.add(JobRequest(task="3dblur", input_dir="c", group="head/blurred"))
    assert store.get(added.uid).group == "head/blurred"
    assert store.newest(9, JobFilter(group="head/blurred")) == [store.get(added.uid)]
    assert store.count(JobFilter(group="head")) == 0


def test_the_copy_is_of_the_older_version_though_another_process_takes_over_meanwhile(queue_path: Path) -> None:
    class Overtaken(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection) -> None:  # type: ignore[override]
            JobStore(queue_path).close()
            super().backup(target)

    shutil.copy(GOLDEN / "queue-1.sqlite", queue_path)
    with contextlib.closing(sqlite3.connect(queue_path, factory=Overtaken)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        queue_database._back_up_older(connection, queue_path)
    with contextlib.closing(sqlite3.connect(queue_path.with_name("jobs.sqlite.version-1"))) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)
    assert sorted(file.name for file in queue_path.parent.iterdir()) == ["jobs.sqlite", "jobs.sqlite.version-1"]


def test_who_goes_back_to_version_1_and_comes_again_has_a_copy_of_the_later_queue(queue_path: Path) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", queue_path)
    JobStore(queue_path).close()
    copy = queue_path.with_name("jobs.sqlite.version-1")
    shutil.copy(copy, queue_path)
    with contextlib.closing(sqlite3.connect(queue_path)) as older:
        older.execute("DELETE FROM jobs WHERE input_dir = 'a'")
        older.commit()
    assert JobStore(queue_path).count() == 3
    with contextlib.closing(sqlite3.connect(copy)) as older:
        assert older.execute("SELECT count(*) FROM jobs").fetchone() == (3,)


def test_a_taking_over_that_breaks_off_leaves_the_queue_as_it_was(
    queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", queue_path)
    monkeypatch.setattr(queue_database, "STEPS", (STEPS[0], (*STEPS[1], "CREATE NONSENSE")))
    with pytest.raises(QueueUnusable):
        JobStore(queue_path)
    monkeypatch.undo()
    assert JobStore(queue_path).count() == 4


def test_a_queue_of_version_5_is_taken_over_and_its_jobs_are_counted(queue_path: Path) -> None:
    shutil.copy(GOLDEN / "queue-5.sqlite", queue_path)
    store = JobStore(queue_path)
    assert store.count_by_state() == {"queued": 3, "running": 1, "succeeded": 1, "failed": 1, "cancelled": 1}
    assert {job.input_dir: job.position for job in store.newest(9)} == {"d": 1, "g": 2, "f": 3, **dict.fromkeys("abce")}
    assert [store.count(JobFilter(visible_to=user)) for user in ("ann", "bob")] == [6, 3]
    assert store.count_groups(["heads", "knees"], visible_to="ann") == [
        GroupCounts(group="heads", queued=1, succeeded=1, failed=1),
        GroupCounts(group="knees", cancelled=1),
    ]
    assert store.claim_next() is not None
    assert store.count(JobFilter(states=("queued", "running"))) == 4


def test_a_queue_in_which_jobs_and_counts_disagree_is_refused(store: JobStore, queue_path: Path) -> None:
    store.add(msgspec.structs.replace(REQUEST, group="heads"))
    store.close()
    for wrong in (
        "UPDATE job_counts SET jobs = 2",
        "UPDATE group_counts SET jobs = 2",
        "INSERT INTO job_counts VALUES ('queued', 5, NULL, 1)",
        "DELETE FROM group_counts",
    ):
        copy = queue_path.with_name("copy.sqlite")
        shutil.copy(queue_path, copy)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.execute(wrong)
            connection.commit()
        with pytest.raises(QueueUnusable, match="there are not as many jobs in it as it says"):
            JobStore(copy)
    assert JobStore(queue_path).count() == 1
