"""The queue: what is put into it comes out in turn, once, as it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec
import pytest

from dlp_lab.errors import (
    IdempotencyKeyReused,
    JobAlreadyEnded,
    JobNotEnded,
    JobNotFailed,
    MalformedRequest,
    NoSuchJob,
    QueueFull,
)
from dlp_lab.jobs import job_attempts, job_rows, job_store
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import IdempotencyKey, JobStore
from tests.jobs.stored_jobs import PARAMS, REQUEST


def test_a_job_comes_back_as_it_was_asked_for(store: JobStore, queue_path: Path) -> None:
    job = store.add(REQUEST)
    read = JobStore(queue_path).get(job.uid)
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


def test_jobs_are_claimed_in_the_order_of_their_submission(store: JobStore) -> None:
    uids = [store.add(REQUEST).uid for _ in range(5)]
    claimed = [store.claim_next() for _ in range(6)]
    assert [job and job.uid for job in claimed] == [*uids, None]
    assert all(job is None or (job.state == "running" and job.attempts == 1) for job in claimed)


def test_the_same_request_with_the_same_key_is_one_job(store: JobStore, queue_path: Path) -> None:
    key = IdempotencyKey.of("k-1", REQUEST)
    job = store.add(REQUEST, key)
    assert JobStore(queue_path).add(REQUEST, IdempotencyKey.of("k-1", REQUEST)) == job
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


def test_a_hindered_job_waits_longer_each_time_while_others_run_and_fails_at_the_fifth(
    store: JobStore, queue_path: Path, monkeypatch: pytest.MonkeyPatch
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
        store = JobStore(queue_path)
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


def test_the_same_key_for_another_group_is_another_request(store: JobStore) -> None:
    asked = JobRequest(task="3dblur", input_dir="a", group="one")
    store.add(asked, IdempotencyKey.of("key", asked))
    other = JobRequest(task="3dblur", input_dir="a", group="two")
    with pytest.raises(IdempotencyKeyReused):
        store.submitted_with(IdempotencyKey.of("key", other))


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


def test_a_clock_that_jumps_changes_no_order_and_loses_no_attempt(
    store: JobStore, queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(["2026-06-01T12:00:00.000Z", "2026-05-31T11:00:00.000Z", "2027-06-01T12:00:00.000Z"] * 9)
    for module in (job_store, job_attempts, job_rows):
        monkeypatch.setattr(module, "now", lambda: next(clock))
    uids = [store.add(REQUEST).uid for _ in range(3)]
    assert [job.uid for job in store.newest(9)] == uids[::-1]
    claimed = [store.claim_next() for _ in uids]
    assert [job and job.uid for job in claimed] == uids
    assert store.put_back(uids[1], 1)
    again = JobStore(queue_path).claim_next()
    assert again is not None
    assert (again.uid, again.attempts) == (uids[1], 2)
    assert not store.finish(uids[1], 1, "succeeded", "late")
    assert store.finish(uids[1], 2, "succeeded", "done")
