from __future__ import annotations

import threading

from dlp_lab.processors import in_parts, shared_processors, threads_worth_starting


def test_a_small_volume_is_worked_on_without_another_thread_and_a_large_one_with_the_share() -> None:
    for voxels, expected in ((7 * 64 * 64, 1), (400 * 512 * 512, 2)):
        seen: set[int] = set()
        with shared_processors(threads_worth_starting(2, voxels)):
            in_parts(lambda first, end, seen=seen: seen.add(threading.get_ident()), 8)
        assert len(seen) == expected
