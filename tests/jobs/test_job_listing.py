"""What the queue tells of its jobs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dlp_lab.errors import (
    MalformedRequest,
    NoSuchJob,
)
from dlp_lab.jobs.job import GroupCounts, JobRequest
from dlp_lab.jobs.job_filter import JobFilter, job_filter
from dlp_lab.jobs.job_store import JobStore
from tests.jobs.stored_jobs import REQUEST

CANCELLED = JobFilter(states=("cancelled",))


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


def test_changes_by_another_process_are_seen_by_their_revision(store: JobStore, queue_path: Path) -> None:
    other = JobStore(queue_path)
    revision = store.revision()
    uid = other.add(REQUEST).uid
    revision, jobs = store.changed_since(revision)
    assert [job.uid for job in jobs] == [uid]
    assert store.changed_since(revision) == (revision, [])
    other.claim_next()
    other.set_progress(uid, 1, 0.25, "quarter")
    revision, jobs = store.changed_since(revision)
    assert [(job.state, job.progress, job.message) for job in jobs] == [("running", 0.25, "quarter")]


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
    assert store.count_groups(["heads", "others"], visible_to="ann") == [
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


def test_the_newest_jobs_are_listed_in_as_many_steps_however_many_others_wait(store: JobStore) -> None:
    mine = JobFilter(visible_to="ann")
    steps: list[int] = []

    def steps_of_a_listing() -> int:
        steps.clear()
        page = store.newest(5, mine)
        assert [job.position for job in page] == list(range(store.count(mine), store.count(mine) - 5, -1))
        store.count(mine, before=page[-1].uid)
        store.count_groups({"heads"}, visible_to="ann")
        store.refuse_when_full(1000, "ann", 1000)
        return len(steps)

    for owner in ("ann", None) * 10:
        store.add(msgspec.structs.replace(REQUEST, group="heads"), owner=owner)
    store._database._connection.set_progress_handler(lambda: steps.append(1), 1)
    few = steps_of_a_listing()
    for owner in ("ann", None) * 40:
        store.add(msgspec.structs.replace(REQUEST, group="heads"), owner=owner)
    assert steps_of_a_listing() == few > 100


def test_a_group_of_which_all_jobs_are_removed_leaves_nothing_behind(store: JobStore) -> None:
    for group in ("heads", "knees"):
        uid = store.add(msgspec.structs.replace(REQUEST, group=group)).uid
        store.request_cancel(uid)
    store.remove(uid)
    assert [row["group"] for row in store._rows('SELECT DISTINCT "group" FROM group_counts')] == ["heads"]
