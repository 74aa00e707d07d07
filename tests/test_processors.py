from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from dlp_lab import processors
from dlp_lab.jobs.slots import default_slots
from dlp_lab.processors import (
    available_processors,
    in_parts,
    in_turns,
    shared_processors,
    threads_to_use,
    threads_worth_starting,
)


def test_a_small_volume_is_worked_on_without_another_thread_and_a_large_one_with_the_share() -> None:
    for voxels, expected in ((7 * 64 * 64, 1), (400 * 512 * 512, 2)):
        seen: set[int] = set()
        with shared_processors(threads_worth_starting(2, voxels)):
            in_parts(lambda first, end, seen=seen: seen.add(threading.get_ident()), 8)
        assert len(seen) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("length", [0, 1, 2, 50])
def test_each_item_comes_to_one_thread_once(threads: int, length: int) -> None:
    done: list[int] = []
    with shared_processors(threads):
        in_turns(done.append, length)
    assert sorted(done) == list(range(length))


def test_a_thread_that_is_held_up_leaves_the_other_items_to_the_others() -> None:
    all_others_done = threading.Event()
    done: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            assert all_others_done.wait(30)
        else:
            done.append(number)
            if len(done) == 9:
                all_others_done.set()

    with shared_processors(2):
        in_turns(work, 10)
    assert sorted(done) == list(range(1, 10))


def test_what_is_raised_in_a_thread_is_raised_to_the_caller() -> None:
    def refuse(number: int) -> None:
        raise ValueError(f"number {number}")

    with shared_processors(2), pytest.raises(ValueError, match="number"):
        in_turns(refuse, 10)


def test_threads_end_with_the_parts_that_they_do() -> None:
    before = threading.active_count()
    with shared_processors(3):
        in_parts(lambda first, end: None, 12)
        assert threading.active_count() == before


def test_parts_within_parts_are_done_too() -> None:
    done: list[int] = []
    with shared_processors(2):
        in_turns(lambda number: in_turns(lambda inner: done.append(10 * number + inner), 5), 5)
    assert sorted(done) == [10 * number + inner for number in range(5) for inner in range(5)]


def test_no_thread_is_at_work_any_more_when_one_has_raised() -> None:
    at_work = threading.Event()
    done: list[int] = []

    def work(first: int, end: int) -> None:
        if first == 0:
            at_work.wait(30)
            raise ValueError("enough")
        at_work.set()
        time.sleep(0.05)
        done.append(first)

    with shared_processors(2):
        with pytest.raises(ValueError, match="enough"):
            in_parts(work, 2)
        assert done == [1]


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max 100000", "max 100000", 8),
        ("300000 100000", "max 100000", 3),
        ("250000 100000", "max 100000", 3),
        ("10000 100000", "max 100000", 1),
        ("max 100000", "400000 100000", 4),
        ("600000 100000", "400000 100000", 4),
        ("1600000 100000", None, 8),
        ("odd", None, 8),
        (None, None, 8),
    ],
)
def test_a_group_has_the_processors_it_is_given_time_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, above: str | None, expected: int
) -> None:
    (tmp_path / "batch/job").mkdir(parents=True)
    for folder, told in (("batch/job", own), ("batch", above)):
        if told is not None:
            (tmp_path / folder / "cpu.max").write_text(f"{told}\n")
    (tmp_path / "cgroup").write_text("1:name=old:/elsewhere\n0::/batch/job\n")
    monkeypatch.setattr(processors, "_CGROUP", tmp_path)
    monkeypatch.setattr(processors, "_GROUP_OF_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_processors() == threads_to_use() == expected
    assert default_slots() == max(1, expected // 2)


def test_a_container_that_sees_only_its_own_group_has_the_processors_it_is_given_time_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    monkeypatch.setattr(processors, "_CGROUP", tmp_path)
    monkeypatch.setattr(processors, "_GROUP_OF_PROCESS", tmp_path / "absent")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_processors() == 2
