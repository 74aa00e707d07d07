from __future__ import annotations

import threading
import time

import pytest

from dlp_lab.processors import in_parts, in_turns, shared_processors, threads_worth_starting


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
