"""Functions of one process in turn (A B A B ...): wall time, and processor time of all its threads.

Processes in turn are `contest.py`; here everyone shares one, for kernels, whose times are small and whose imports do
not matter.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.tables import Table


@dataclass
class Times:
    """Seconds of each round."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def add(self, run: Callable[[], object]) -> None:
        """One more round."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)
        del result  # after the clock: to give pages back takes time, and is not what was asked for

    @property
    def wall(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.wall_s)

    @property
    def cpu(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.cpu_s)


def in_turn(
    runs: Mapping[str, Callable[[], object]], rounds: int, before: Callable[[], object] = lambda: None
) -> dict[str, Times]:
    """Each once to warm up, then all in turn, `rounds` times; `before` each, off the clock, something is done."""
    for run in runs.values():
        run()
    times = {name: Times() for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            before()
            times[name].add(run)
    return times


def leave_free_pages(size: int) -> None:
    """Make new memory the same for whoever asks next, up to so many bytes.

    The C library keeps what was freed for who asks next, and one would find there what another left; so all of it goes
    back to the system (glibc; of others it is not known). The system has none free as a rule, for files fill its
    memory, and who comes first would wait until it has found some; so pages are taken, and freed.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    np.ones(size, np.uint8)


def comparison(title: str, times: Mapping[str, Times], *, reference: str, voxels: int, note: str = "") -> Table:
    """Medians, spread, and multiples of the reference."""
    ours = times[reference]
    rows = [
        (
            name,
            one.wall * 1e3,
            f"{min(one.wall_s) * 1e3:.1f} to {max(one.wall_s) * 1e3:.1f}",
            one.cpu * 1e3,
            one.cpu / voxels * 1e9,
            one.wall / ours.wall,
            min(one.wall_s) / min(ours.wall_s),
            one.cpu / ours.cpu,
            min(one.cpu_s) / min(ours.cpu_s),
        )
        for name, one in times.items()
    ]
    ratios = ("wall, x", "least wall, x", "processor, x", "least processor, x")
    columns = ("", "wall, ms", "spread", "processor, ms", "ns a voxel", *ratios)
    return Table(title, columns, rows, note)
