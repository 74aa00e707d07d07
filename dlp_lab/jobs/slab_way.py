"""How a task's result is computed slab by slab: each with a halo, or each going on from the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dlp_lab.geometry import Geometry
from dlp_lab.jobs.memory_share import slab_thickness
from dlp_lab.tasks.task import Report, SlabRun, Task, TaskResult
from dlp_lab.volume import Volume


@dataclass(frozen=True)
class Slab:
    """Which slices are computed at once.

    Attributes:
        source: Of the source, that are read.
        made: Of the result, that come of them.
        right: Those of them that are as in the result of the whole volume.
    """

    source: range
    made: range
    right: range


class SlabWay(Protocol):
    """A task's way through a volume.

    Attributes:
        most_source, most_made: So many slices a slab has at most.
    """

    most_source: int
    most_made: int

    def slab_towards(self, k: int) -> Slab:
        """The slab to be computed next by who wants slice `k` of the result: the one that has it, or one before that.

        Each that is told has to be computed.
        """

    def compute(self, source: Volume, report: Report) -> TaskResult:
        """The task's result for the slab that was told last."""


def slab_way(task: Task, geometry: Geometry, halo: int, slice_bytes: int) -> SlabWay:
    """The way of a task that has a halo.

    Args:
        task: Makes the slabs.
        geometry: Of the whole volume.
        halo: The task's `halo_slices`.
        slice_bytes: Of a slice of the source and of the result together.
    """
    run = task.in_slabs(geometry)
    if run is None:
        return _WithHalo(task, geometry.shape[0], halo, slab_thickness(slice_bytes, halo))
    return _GoingOn(task, geometry, run, slab_thickness(slice_bytes, 0))


class _WithHalo:
    def __init__(self, task: Task, slices: int, halo: int, thickness: int) -> None:
        self._task = task
        self._slices = slices
        self._halo = halo
        self._thickness = thickness
        self.most_source = self.most_made = thickness + 2 * halo

    def slab_towards(self, k: int) -> Slab:
        start = k // self._thickness * self._thickness
        right = range(start, min(start + self._thickness, self._slices))
        made = range(max(0, right.start - self._halo), min(self._slices, right.stop + self._halo))
        return Slab(made, made, right)

    def compute(self, source: Volume, report: Report) -> TaskResult:
        return self._task.run(source, report)


class _GoingOn:
    def __init__(self, task: Task, geometry: Geometry, run: SlabRun, thickness: int) -> None:
        self._task = task
        self._geometry = geometry
        self._run = run
        self._thickness = thickness
        self._taken = self._made = 0
        self.most_source = self.most_made = thickness + run.reach_slices

    def slab_towards(self, k: int) -> Slab:
        if k < self._made:
            run = self._task.in_slabs(self._geometry)
            assert run is not None  # as it was before
            self._run, self._taken, self._made = run, 0, 0
        slices, taken, made = self._geometry.shape[0], self._taken, self._made
        self._taken = min(slices, made + self._thickness + self._run.reach_slices)
        # when all of the source is there, what is left of the result comes at once
        self._made = slices if self._taken == slices else made + self._thickness
        return Slab(range(taken, self._taken), range(made, self._made), range(made, self._made))

    def compute(self, source: Volume, report: Report) -> TaskResult:
        return self._run.go_on(source, report)
