from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dlp_lab import processors
from dlp_lab.jobs.slots import default_slots
from dlp_lab.processors import (
    available_processors,
    in_parts,
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
