from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec
import pytest

from dlp_lab.errors import (
    DiskFull,
    IdempotencyKeyReused,
    JobAlreadyEnded,
    JobNotEnded,
    JobNotFailed,
    MalformedRequest,
    NoSuchJob,
    QueueFull,
    QueueUnusable,
)
from dlp_lab.jobs import job_attempts, job_rows, job_store, queue_database
from dlp_lab.jobs.job import GroupCounts, JobRequest
from dlp_lab.jobs.job_filter import JobFilter, job_filter
from dlp_lab.jobs.job_store import IdempotencyKey, JobStore
from dlp_lab.jobs.job_store_schema import SCHEMA_VERSION, STEPS

GOLDEN = Path(__file__).parent.parent / "golden"

PARAMS = {"sigma_mm": [1.5, 2.0, 0.0], "mode": "wrap"}
REQUEST = JobRequest(task="3dblur", input_dir="a/b", params=PARAMS, keep_hdf5=True)
CANCELLED = JobFilter(states=("cancelled",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(path: Path) -> JobStore:
    return JobStore(path)


def test_a_job_comes_back_as_it_was_asked_for(store: JobStore, path: Path) -> None:
    job = store.add(REQUEST)
    read = JobStore(path).get(job.uid)
    assert read == job
    assert (read.task, read.input_dir, read.params, read.keep_hdf5) == (
        REQUEST.task,
        REQUEST.input_dir,
        REQUEST.params,
        True,
    )
    assert (read.state, read.attempts, read.progress) == ("queued", 0, 0.0)


def test_a_job_of_higher_priority_starts_first_and_positions_tell_so(store: JobStore) -> None:
    uids = [store.add(msgspec.structs.replace(REQUEST, priority=priority)).uid for priority in (0, -5, 0, 7)]
    turns = [uids[3], uids[0], uids[2], uids[1]]
    assert [store.get(uid).position for uid in turns] == [1, 2, 3, 4]
    assert {job.uid: job.position for job in store.newest(9)} == {uid: 1 + n for n, uid in enumerate(turns)}
    assert [job.position for job in store.newest(2)] == [1, 3]
    assert [job.position for job in store.newest(2, before=uids[2])] == [4, 2]
    assert [job.uid for job in iter(store.claim_next, None)] == turns
    assert store.get(uids[0]).position is None


def test_a_uid_is_32_lower_case_hexadecimal_digits_and_never_the_same(store: JobStore) -> None:
    uids = {store.add(REQUEST).uid for _ in range(50)}
    assert len(uids) == 50
    assert all(len(uid) == 32 and set(uid) <= set("0123456789abcdef") for uid in uids)


def test_the_database_is_readable_by_its_owner_alone(store: JobStore, path: Path) -> None:
    store.add(REQUEST)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) >= {"jobs.sqlite", "jobs.sqlite-wal"}
    assert set(modes.values()) == {0o600}


def test_jobs_are_claimed_in_the_order_of_their_submission(store: JobStore) -> None:
    uids = [store.add(REQUEST).uid for _ in range(5)]
    claimed = [store.claim_next() for _ in range(6)]
    assert [job and job.uid for job in claimed] == [*uids, None]
    assert all(job is None or (job.state == "running" and job.attempts == 1) for job in claimed)


def test_the_listing_is_newest_first_and_limited(store: JobStore) -> None:
    uids = [store.add(REQUEST).uid for _ in range(5)]
    assert [job.uid for job in store.newest(3)] == uids[:1:-1]


def test_the_listing_is_by_state_and_goes_on_where_it_stopped(store: JobStore) -> None:
    uids = [store.add(REQUEST).uid for _ in range(6)]
    for uid in uids[::2]:
        store.request_cancel(uid)
    first = store.newest(2, CANCELLED)
    rest = store.newest(9, CANCELLED, before=first[-1].uid)
    assert [job.uid for job in (*first, *rest)] == uids[4::-2]
    assert store.count(CANCELLED, before=first[-1].uid) == 1
    assert store.count(JobFilter(states=("queued", "cancelled"))) == store.count() == 6
    with pytest.raises(NoSuchJob):
        store.newest(9, before="0" * 32)


def test_the_same_request_with_the_same_key_is_one_job(store: JobStore, path: Path) -> None:
    key = IdempotencyKey.of("k-1", REQUEST)
    job = store.add(REQUEST, key)
    assert JobStore(path).add(REQUEST, IdempotencyKey.of("k-1", REQUEST)) == job
    reordered = msgspec.structs.replace(REQUEST, params=dict(reversed(PARAMS.items())))
    assert store.add(REQUEST, IdempotencyKey.of("k-1", reordered)) == job
    assert store.add(REQUEST, IdempotencyKey.of("k-2", REQUEST)).uid != job.uid
    with pytest.raises(IdempotencyKeyReused, match="another request"):
        store.add(REQUEST, IdempotencyKey.of("k-1", msgspec.structs.replace(REQUEST, priority=1)))
    assert store.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "line\nbreak", "\u00fc"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(MalformedRequest, match="printable ASCII"):
        IdempotencyKey.of(key, REQUEST)


def test_no_more_jobs_wait_than_may(store: JobStore) -> None:
    uids = [store.add(REQUEST, max_queued=2).uid for _ in range(2)]
    store.request_cancel(uids[0])
    store.add(REQUEST, max_queued=2)
    with pytest.raises(QueueFull, match="2 jobs are waiting"):
        store.add(REQUEST, max_queued=2)
    with pytest.raises(QueueFull):
        store.retry(uids[0], max_queued=2)
    store.claim_next()
    assert store.retry(uids[0], max_queued=2).state == "queued"


def test_a_failed_job_tried_again_is_as_new_but_for_its_attempts(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    with pytest.raises(JobNotFailed, match="is queued"):
        store.retry(uid)
    for attempt in (1, 2):
        store.claim_next()
        store.record_crash(uid, attempt, "SOME_CODE", "why", attempts_allowed=2)
    job = store.retry(uid)
    assert (job.state, job.error_code, job.progress, job.started_at, job.ended_at) == ("queued", None, 0.0, None, None)
    store.claim_next()
    assert not store.finish(uid, 2, "succeeded", "late")
    store.record_crash(uid, 3, "SOME_CODE", "why", attempts_allowed=2)
    assert store.get(uid).state == "queued"
    store.claim_next()
    assert store.finish(uid, 4, "succeeded", "done")
    with pytest.raises(JobNotFailed, match="is succeeded"):
        store.retry(uid)


def test_only_a_job_that_has_ended_can_be_removed(store: JobStore) -> None:
    uid, other = store.add(REQUEST).uid, store.add(REQUEST).uid
    with pytest.raises(JobNotEnded, match="is queued"):
        store.remove(uid)
    store.request_cancel(uid)
    assert [job.uid for job in store.ended_before(datetime.now(UTC) + timedelta(seconds=1))] == [uid]
    assert store.ended_before(datetime.now(UTC) - timedelta(hours=1)) == []
    store.remove(uid)
    assert [job.uid for job in store.newest(9)] == [other]


def test_a_job_put_back_keeps_its_place_in_the_queue(store: JobStore) -> None:
    first, second = store.add(REQUEST), store.add(REQUEST)
    store.claim_next()
    assert store.put_back(first.uid, 1)
    claimed = [store.claim_next(), store.claim_next()]
    assert [(job.uid, job.attempts) for job in claimed if job] == [(first.uid, 2), (second.uid, 1)]


def test_what_an_older_attempt_reports_changes_nothing(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    store.claim_next()
    store.put_back(uid, 1)
    store.claim_next()
    before = store.get(uid)
    assert not store.set_progress(uid, 1, 0.5, "late")
    assert not store.finish(uid, 1, "succeeded", "late")
    assert not store.put_back(uid, 1)
    assert not store.record_crash(uid, 1, "X", "late", attempts_allowed=1)
    # the clock goes on
    assert msgspec.structs.replace(store.get(uid), elapsed_seconds=before.elapsed_seconds) == before
    assert store.finish(uid, 2, "succeeded", "done", output_dir="out/x", warnings=["w"])
    assert not store.finish(uid, 2, "failed", "twice")
    ended = store.get(uid)
    assert (ended.state, ended.output_dir, ended.warnings, ended.progress) == ("succeeded", "out/x", ["w"], 1.0)
    assert ended.started_at is not None and ended.ended_at is not None


def test_a_waiting_job_is_cancelled_at_once_and_never_claimed(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    assert store.request_cancel(uid).state == "cancelled"
    assert store.claim_next() is None
    with pytest.raises(JobAlreadyEnded, match="already been cancelled"):
        store.request_cancel(uid)


def test_a_running_job_is_marked_for_cancellation_and_not_started_again(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    store.claim_next()
    assert store.cancel_requests() == []
    assert store.request_cancel(uid).state == "running"
    assert store.cancel_requests() == [uid]
    store.put_back(uid, 1)
    assert store.get(uid).state == "cancelled"


def test_a_job_that_crashes_too_often_fails_with_the_reason(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    states = []
    for attempt in (1, 2, 3):
        assert store.claim_next()
        store.record_crash(uid, attempt, "SOME_CODE", "why", attempts_allowed=3)
        states.append(store.get(uid).state)
    assert states == ["queued", "queued", "failed"]
    assert (store.get(uid).error_code, store.get(uid).message) == ("SOME_CODE", "why")


def test_that_servers_stopped_is_counted_apart_from_crashes_of_the_job_and_limited_too(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    attempts = iter(range(1, 10))

    def end(how: Callable[..., bool], allowed: int) -> tuple[str, str | None]:
        assert store.claim_next()
        assert how(uid, next(attempts), how.__name__, "why", attempts_allowed=allowed)
        job = store.get(uid)
        return job.state, job.error_code

    assert end(store.record_server_stop, 3) == ("queued", None)
    assert end(store.record_server_stop, 3) == ("queued", None)
    assert end(store.record_crash, 2) == ("queued", None)  # the job's first
    assert end(store.record_server_stop, 3) == ("failed", "record_server_stop")
    store.retry(uid)
    assert end(store.record_server_stop, 3) == ("queued", None)  # counted anew
    assert end(store.record_crash, 2) == ("queued", None)
    assert end(store.record_crash, 2) == ("failed", "record_crash")


def test_a_server_that_stopped_ends_no_attempt_that_is_over(store: JobStore) -> None:
    uid = store.add(REQUEST).uid
    store.claim_next()
    store.put_back(uid, 1)
    store.claim_next()
    assert not store.record_server_stop(uid, 1, "X", "late", attempts_allowed=1)
    assert store.get(uid).state == "running"


def test_an_unknown_uid_is_no_such_job(store: JobStore) -> None:
    for call in (store.get, store.request_cancel, store.retry, store.remove):
        with pytest.raises(NoSuchJob):
            call("0" * 32)


def test_changes_are_told_some_at_a_time_and_none_of_those_that_came_together_is_left_out(store: JobStore) -> None:
    start = store.revision()
    uids = [store.add(REQUEST).uid for _ in range(7)]
    store.exchange_message("waiting", "not yet")  # all at once
    uids += [store.add(REQUEST).uid for _ in range(3)]
    told, revision = [], start
    sizes = []
    while True:
        revision, jobs = store.changed_since(revision, 2)
        if not jobs:
            break
        sizes.append(len(jobs))
        told += [job.uid for job in jobs]
    assert told == uids
    assert sizes == [7, 2, 1]


def test_changes_by_another_process_are_seen_by_their_revision(store: JobStore, path: Path) -> None:
    other = JobStore(path)
    revision = store.revision()
    uid = other.add(REQUEST).uid
    revision, jobs = store.changed_since(revision)
    assert [job.uid for job in jobs] == [uid]
    assert store.changed_since(revision) == (revision, [])
    other.claim_next()
    other.set_progress(uid, 1, 0.25, "quarter")
    revision, jobs = store.changed_since(revision)
    assert [(job.state, job.progress, job.message) for job in jobs] == [("running", 0.25, "quarter")]


def test_a_hindered_job_waits_longer_each_time_while_others_run_and_fails_at_the_fifth(
    store: JobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return cls.moment

    monkeypatch.setattr(job_attempts, "datetime", Clock)
    uid = store.add(REQUEST).uid
    for attempt, (delay, again) in enumerate(((1, "03:04:06"), (5, "03:04:11"), (25, "03:04:36"), (125, "03:06:41"))):
        assert store.claim_next() is not None
        assert store.record_hindrance(uid, attempt + 1, "DISK_FULL", "there is no room")
        store.close()
        store = JobStore(path)
        assert store.get(uid).message == f"there is no room; tried again at {again} UTC"
        other = store.add(REQUEST).uid
        claimed = store.claim_next()
        assert claimed is not None
        assert claimed.uid == other
        Clock.moment += timedelta(seconds=delay, milliseconds=-1)
        assert store.claim_next() is None
        Clock.moment += timedelta(milliseconds=1)
    assert store.claim_next() is not None
    assert not store.record_hindrance(uid, 4, "DISK_FULL", "there is no room")
    assert store.record_hindrance(uid, 5, "DISK_FULL", "there is no room")
    job = store.get(uid)
    assert (job.state, job.error_code, job.message) == ("failed", "DISK_FULL", "there is no room (5 times)")
    assert store.retry(uid).state == "queued"
    assert store.claim_next() is not None
    store.record_hindrance(uid, 6, "DISK_FULL", "there is no room")
    Clock.moment -= timedelta(days=1)
    assert store.claim_next() is not None, "a clock that was put back delays no job by a day"


def test_the_first_in_the_queue_says_why_none_starts_until_that_is_over(store: JobStore) -> None:
    first, second = store.add(REQUEST), store.add(REQUEST)
    store.set_message_of_next("no scheduler answers")
    revision = store.revision()
    store.set_message_of_next("no scheduler answers")
    assert store.revision() == revision
    assert [store.get(job.uid).message for job in (first, second)] == ["no scheduler answers", "waiting"]
    store.exchange_message("no scheduler answers", "waiting")
    assert [store.get(job.uid).message for job in (first, second)] == ["waiting", "waiting"]
    assert [job.uid for job in store.changed_since(revision)[1]] == [first.uid]


def test_a_hindered_job_that_is_cancelled_and_tried_again_waits_no_longer(store: JobStore) -> None:
    job = store.add(REQUEST)
    assert store.claim_next() is not None
    store.record_hindrance(job.uid, 1, "DISK_FULL", "there is no room")
    assert store.claim_next() is None
    store.request_cancel(job.uid)
    store.retry(job.uid)
    again = store.claim_next()
    assert again is not None
    assert again.uid == job.uid


def test_a_queue_of_version_2_is_taken_over_and_its_jobs_may_be_hindered(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as older:
        for step in STEPS[:2]:
            for statement in step:
                older.execute(statement)
        older.execute(
            "INSERT INTO jobs (uid, task, input_dir, params, keep_hdf5, read, state, submitted_at, revision)"
            " VALUES ('b', '3dblur', 'a', '{}', 0, '{}', 'queued', '2024-01-02T03:04:05.678Z', 1)"
        )
        older.execute("PRAGMA user_version = 2")
        older.commit()
    store = JobStore(path)
    job = store.claim_next()
    assert job is not None
    assert store.record_hindrance("b", 1, "DISK_FULL", "there is no room")
    assert store.get("b").message.startswith("there is no room; tried again at ")
    assert path.with_name("jobs.sqlite.version-2").exists()


def test_a_queue_of_a_newer_version_is_refused_and_left_alone(store: JobStore, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(QueueUnusable, match="newer"):
        JobStore(path)
    assert path.read_bytes() == before


def test_a_queue_of_version_1_is_taken_over_and_a_copy_of_it_kept(path: Path) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", path)
    store = JobStore(path)
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
    copy = path.with_name("jobs.sqlite.version-1")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)
        assert older.execute("SELECT input_dir, state FROM jobs ORDER BY seq").fetchall() == [
            (folder, job.state) for folder, job in sorted(jobs.items())
        ]


def test_a_queue_of_version_2_is_taken_over_and_its_jobs_have_no_owner(path: Path) -> None:
    shutil.copy(GOLDEN / "queue-2.sqlite", path)
    store = JobStore(path)
    second, first = store.newest(9)
    assert [(job.input_dir, job.owner, job.priority) for job in (first, second)] == [("a", None, 3), ("b", None, 0)]
    request = JobRequest(task="3dblur", input_dir="a", params={"sigma_mm": 2.0}, priority=3, output_form="multiframe")
    assert store.submitted_with(IdempotencyKey.of("one", request)) == first
    assert store.submitted_with(IdempotencyKey.of("one", request, "ann")) is None
    assert store.add(request, IdempotencyKey.of("one", request, "ann"), owner="ann").owner == "ann"


def test_a_queue_of_version_4_is_taken_over_and_its_jobs_are_of_no_group(path: Path) -> None:
    shutil.copy(GOLDEN / "queue-4.sqlite", path)
    store = JobStore(path)
    second, first = store.newest(9)
    assert [(job.input_dir, job.owner, job.group) for job in (first, second)] == [("a", "ann", None), ("b", None, None)]
    asked = JobRequest(task="3dblur", input_dir="a", params={"sigma_mm": 2.0})
    assert store.submitted_with(IdempotencyKey.of("one", asked, "ann")) == first
    added = store.add(JobRequest(task="3dblur", input_dir="c", group="head/blurred"))
    assert store.get(added.uid).group == "head/blurred"
    assert store.newest(9, JobFilter(group="head/blurred")) == [store.get(added.uid)]
    assert store.count(JobFilter(group="head")) == 0


def test_the_same_key_for_another_group_is_another_request(store: JobStore) -> None:
    asked = JobRequest(task="3dblur", input_dir="a", group="one")
    store.add(asked, IdempotencyKey.of("key", asked))
    other = JobRequest(task="3dblur", input_dir="a", group="two")
    with pytest.raises(IdempotencyKeyReused):
        store.submitted_with(IdempotencyKey.of("key", other))


def test_jobs_of_a_group_are_counted_by_their_state_and_as_far_as_they_may_be_seen(store: JobStore) -> None:
    def add(group: str | None, owner: str | None = None) -> str:
        return store.add(JobRequest(task="3dblur", input_dir="a", group=group), owner=owner).uid

    add(None)
    store.request_cancel(add("heads", "ann"))
    add("heads", "bob"), add("heads"), add("others", "bob")
    whole = GroupCounts(group="heads", queued=2, cancelled=1)
    assert store.count_groups(["heads"]) == [whole]
    assert sorted(store.count_groups(["heads", "others", "none"]), key=lambda counts: counts.group) == [
        whole,
        GroupCounts(group="others", queued=1),
    ]
    assert store.count_groups(["heads", "others"], JobFilter(visible_to="ann")) == [
        GroupCounts(group="heads", queued=1, cancelled=1)
    ]
    assert store.count_groups([]) == []


def test_jobs_are_filtered_by_task_folder_moment_and_who_may_see_them(store: JobStore) -> None:
    for number, (task, folder, owner) in enumerate(
        [("3dblur", "Study/head", "ann"), ("probe", "study/50%", "bob"), ("probe", "other", None)]
    ):
        uid = store.add(JobRequest(task=task, input_dir=folder), owner=owner).uid
        store._rows("UPDATE jobs SET submitted_at = ? WHERE uid = ?", (f"2026-11-0{1 + number}T00:00:00.000Z", uid))

    def found(**wanted: str) -> list[str]:
        return [job.input_dir for job in store.newest(9, job_filter(**wanted))]

    assert found() == ["other", "study/50%", "Study/head"]
    assert found(task="probe") == ["other", "study/50%"]
    assert found(about="STUDY") == ["study/50%", "Study/head"]
    assert found(about="%") == ["study/50%"]
    assert found(about="gaussian  study") == found(about="BLUR head") == ["Study/head"]
    assert found(about="gaussian other") == []
    assert found(submitted_after="2026-11-01") == ["other", "study/50%"]
    assert found(submitted_before="2026-11-02T01:00+02:00") == ["Study/head"]
    assert [job.position for job in store.newest(9, job_filter(task="probe"))] == [3, 2]
    for user, seen in (("ann", ["other", "Study/head"]), ("bob", ["other", "study/50%"]), ("eve", ["other"])):
        assert [job.input_dir for job in store.newest(9, JobFilter(visible_to=user))] == seen
        assert store.count(JobFilter(visible_to=user)) == len(seen)


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "9" * 99])
def test_what_is_no_moment_is_refused(moment: str) -> None:
    with pytest.raises(MalformedRequest, match="a moment is such as"):
        job_filter(submitted_after=moment)


def test_a_user_may_have_so_many_jobs_waiting_and_the_others_are_not_held_up(store: JobStore) -> None:
    for owner in ("ann", "ann", "bob", None):
        store.add(REQUEST, owner=owner, max_queued_of_owner=2)
    with pytest.raises(QueueFull, match="2 jobs of yours are waiting"):
        store.add(REQUEST, owner="ann", max_queued_of_owner=2)
    store.add(REQUEST, owner="bob", max_queued_of_owner=2)
    cancelled = store.request_cancel(store.newest(9, JobFilter(visible_to="ann"))[-1].uid)
    store.add(REQUEST, owner="ann", max_queued_of_owner=2)
    with pytest.raises(QueueFull, match="2 jobs of yours"):
        store.retry(cancelled.uid, max_queued_of_owner=2)


def test_the_copy_is_of_the_older_version_though_another_process_takes_over_meanwhile(path: Path) -> None:
    class Overtaken(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection) -> None:  # type: ignore[override]
            JobStore(path).close()
            super().backup(target)

    shutil.copy(GOLDEN / "queue-1.sqlite", path)
    with contextlib.closing(sqlite3.connect(path, factory=Overtaken)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        queue_database._back_up_older(connection, path)
    with contextlib.closing(sqlite3.connect(path.with_name("jobs.sqlite.version-1"))) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)
    assert sorted(file.name for file in path.parent.iterdir()) == ["jobs.sqlite", "jobs.sqlite.version-1"]


def test_who_goes_back_to_version_1_and_comes_again_has_a_copy_of_the_later_queue(path: Path) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", path)
    JobStore(path).close()
    copy = path.with_name("jobs.sqlite.version-1")
    shutil.copy(copy, path)
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.execute("DELETE FROM jobs WHERE input_dir = 'a'")
        older.commit()
    assert JobStore(path).count() == 3
    with contextlib.closing(sqlite3.connect(copy)) as older:
        assert older.execute("SELECT count(*) FROM jobs").fetchone() == (3,)


def test_a_taking_over_that_breaks_off_leaves_the_queue_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(GOLDEN / "queue-1.sqlite", path)
    monkeypatch.setattr(queue_database, "STEPS", (STEPS[0], (*STEPS[1], "CREATE NONSENSE")))
    with pytest.raises(QueueUnusable):
        JobStore(path)
    monkeypatch.undo()
    assert JobStore(path).count() == 4


def test_a_damaged_queue_is_refused_and_never_taken_for_an_empty_one(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)
    with pytest.raises(QueueUnusable, match="cannot be read"):
        JobStore(path)


def test_a_queue_with_a_damaged_page_is_refused(store: JobStore, path: Path) -> None:
    for _ in range(200):
        store.add(REQUEST)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 6] = bytes(range(256)) * 16
    path.write_bytes(content)
    with pytest.raises(QueueUnusable, match="cannot be read"):
        JobStore(path)


def test_a_queue_whose_file_was_taken_away_goes_on_with_the_one_that_is_there_now(store: JobStore, path: Path) -> None:
    old = store.add(REQUEST).uid
    store.reopen()
    assert store.get(old).uid == old
    for file in list(path.parent.glob("jobs.sqlite*")):
        file.rename(path.parent / f"old-{file.name}")
    assert not store.is_in_place()
    other = JobStore(path)
    added = other.add(REQUEST).uid
    store.reopen()
    assert store.is_in_place()
    assert [job.uid for job in store.newest(9)] == [added]
    late = other.add(REQUEST).uid
    assert [job.uid for job in JobStore(path).newest(9)] == [late, added]
    assert [job.uid for job in JobStore(path.parent / "old-jobs.sqlite").newest(9)] == [old]


def test_a_queue_without_room_says_so_and_works_again_when_there_is_room(store: JobStore) -> None:
    kept = store.add(REQUEST).uid
    store._rows("PRAGMA max_page_count = 1")
    with pytest.raises(DiskFull, match="free space"):
        for _ in range(100):
            store.add(REQUEST)
    assert store.get(kept).state == "queued"
    store._rows("PRAGMA max_page_count = 100000")
    assert store.get(store.add(REQUEST).uid).state == "queued"


def test_a_queue_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").mkdir()
    with pytest.raises(QueueUnusable, match="cannot be opened"):
        JobStore(tmp_path / "jobs.sqlite")
    with pytest.raises(QueueUnusable, match="No such file"):
        JobStore(tmp_path / "absent" / "jobs.sqlite")


def _claim_all(path: Path, claimed: multiprocessing.Queue[list[str]]) -> None:
    store = JobStore(path)
    uids = []
    while job := store.claim_next():
        uids.append(job.uid)
    claimed.put(uids)


def test_no_job_is_claimed_twice_by_processes_that_open_and_claim_at_once(store: JobStore, path: Path) -> None:
    uids = [store.add(REQUEST).uid for _ in range(200)]
    context = multiprocessing.get_context("spawn")
    claimed = context.Queue()
    processes = [context.Process(target=_claim_all, args=(path, claimed)) for _ in range(4)]
    for process in processes:
        process.start()
    seen = [uid for _ in processes for uid in claimed.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(seen) == sorted(uids)


def test_a_queue_that_another_process_reads_while_it_is_opened_is_waited_for(path: Path) -> None:
    JobStore(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")  # as on a network file system
        other.execute("BEGIN")
        other.execute("SELECT * FROM jobs").fetchall()
        end_of_reading = threading.Timer(0.5, other.execute, ("COMMIT",))
        end_of_reading.start()
        JobStore(path).close()
        end_of_reading.join()


def _open_and_add(path: Path) -> None:
    JobStore(path).add(REQUEST)


def test_processes_that_make_the_queue_at_the_same_moment_share_it(path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_open_and_add, args=(path,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert len(JobStore(path).newest(100)) == 8


def test_a_clock_that_jumps_changes_no_order_and_loses_no_attempt(
    store: JobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(["2026-06-01T12:00:00.000Z", "2026-05-31T11:00:00.000Z", "2027-06-01T12:00:00.000Z"] * 9)
    for module in (job_store, job_attempts, job_rows):
        monkeypatch.setattr(module, "now", lambda: next(clock))
    uids = [store.add(REQUEST).uid for _ in range(3)]
    assert [job.uid for job in store.newest(9)] == uids[::-1]
    claimed = [store.claim_next() for _ in uids]
    assert [job and job.uid for job in claimed] == uids
    assert store.put_back(uids[1], 1)
    again = JobStore(path).claim_next()
    assert again is not None
    assert (again.uid, again.attempts) == (uids[1], 2)
    assert not store.finish(uids[1], 1, "succeeded", "late")
    assert store.finish(uids[1], 2, "succeeded", "done")
