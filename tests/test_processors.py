from __future__ import annotations

import threading

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
