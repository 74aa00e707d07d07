"""How many threads a run may use: its share of the processors that its process was given."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
Item = TypeVar("Item")

_VOXELS_WORTH_A_THREAD = 2**20
"""Worked on in some ten milliseconds; to start threads and wait for them takes several, time and again in a job."""

_CGROUP = Path("/sys/fs/cgroup")
_GROUP_OF_PROCESS = Path("/proc/self/cgroup")

_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextlib.contextmanager
def shared_processors(threads: int | None) -> Iterator[None]:
    """Within the block, what is done on several threads uses this many; None for as many as there are processors."""
    token = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(token)


def threads_to_use() -> int:
    """The share of whoever runs this, or as many threads as there are processors for the process."""
    return _threads.get() or available_processors()


def available_processors() -> int:
    """How many processors this process may use: those that it may run on, and no more than it is given time of.

    A container or a batch system may give it less time than the machine's processors have (cgroup 2, `cpu.max` of its
    group or one above it); parts of a processor count as one.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(max(1, min(count, *map(_processors_of_group, _groups()))))


def _groups() -> Iterator[Path]:
    """The group of this process, and all above it that can be seen."""
    with contextlib.suppress(OSError):
        for line in _GROUP_OF_PROCESS.read_text().splitlines():
            if line.startswith("0::/"):
                own = Path(line.removeprefix("0::/"))
                yield from (_CGROUP / group for group in (own, *own.parents))
    yield _CGROUP


def _processors_of_group(group: Path) -> float:
    """As many as the group has time of; infinity without a limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else math.ceil(int(quota) / int(period))
    return math.inf


def threads_worth_starting(threads: int | None, voxels: int) -> int | None:
    """How many of the threads that a job may use it should: one for a small volume, of which each would get little."""
    return 1 if voxels < _VOXELS_WORTH_A_THREAD else threads


def in_parts(work: Callable[[int, int], None], length: int) -> None:
    """Do `work(first, end)` for parts that together are `range(length)`, each on a thread of its own.

    Worth it where the work is numpy's on large arrays, which lets go of the interpreter's lock. The threads end with
    it, for a process that is to take another job must have none left. Nor would threads that are kept save time: beside
    other programs a job took half as long again with them, though a little less of the processors.

    Raises:
        Exception: What the work raised.
    """
    count = max(1, min(threads_to_use(), length))
    ends = [length * number // count for number in range(count + 1)]
    if count == 1:
        work(0, length)
        return
    with ThreadPoolExecutor(count - 1) as threads:
        others = [threads.submit(work, first, end) for first, end in itertools.pairwise(ends[1:])]
        work(0, ends[1])  # raises when the others are done, which may be at work on what is the caller's
        for other in others:
            other.result()


def in_turns(work: Callable[[int], None], length: int) -> None:
    """`work(0)`, `work(1)`, ... of `range(length)` as `in_parts` does it, but that each thread takes what is next."""
    waiting = iter(range(length))

    def take(first: int, end: int) -> None:
        for number in waiting:  # each comes to one thread
            work(number)

    in_parts(take, min(threads_to_use(), length))


def each_in_parts(work: Callable[[int], Found], length: int) -> list[Found]:
    """`work(0)`, `work(1)`, ... of `range(length)` by `in_parts`; in order, so that the threads change nothing."""
    found: dict[int, Found] = {}

    def do(first: int, end: int) -> None:
        for number in range(first, end):
            found[number] = work(number)

    in_parts(do, length)
    return [found[number] for number in range(length)]


def by_threads(work: Callable[[Item], Found], items: Iterable[Item]) -> Generator[Found]:
    """What `work` makes of the items, in their order; only a few are taken ahead of what is asked for.

    The threads end with it, or as it is closed.
    """
    count = threads_to_use()
    pending: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(count) as threads:
        for item in items:
            pending.append(threads.submit(work, item))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
