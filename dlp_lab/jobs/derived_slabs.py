"""What a task makes of a series, computed slab by slab when its slices are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from numpy.typing import NDArray

from dlp_lab.dicom.series import Series
from dlp_lab.dicom.slab_reader import SlabReader
from dlp_lab.dicom.writable import refuse_other_grid
from dlp_lab.dicom.write_streamed import SlicesOnDemand
from dlp_lab.errors import TaskResultInvalid
from dlp_lab.jobs.memory_limit import limited_memory
from dlp_lab.jobs.slab_way import Slab, SlabWay
from dlp_lab.result_memory import ResultMemory
from dlp_lab.tasks.task import ImageResult, Report, Task


class DerivedSlabs(SlicesOnDemand):
    """The slices of a task's result, of which one slab is in memory.

    Args:
        task: Makes them.
        way: How.
        series: The source; each of its slices is one of the volume.
        reader: Of the series.
        report: Told which slices are computed; may raise `JobCancelled`.
    """

    def __init__(self, task: Task, way: SlabWay, series: Series, reader: SlabReader, report: Report) -> None:
        self._task = task
        self._way = way
        self._series = series
        self._reader = reader
        self._report = report
        self._memory = ResultMemory(way.most_made, whole_numbers=False)
        self._slab = range(0)
        self._result: ImageResult | None = None
        self._inside = 0

    def __len__(self) -> int:
        return self._series.geometry.shape[0]

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        if isinstance(index, slice):
            return self._some(range(*index.indices(len(self))))
        if not 0 <= index < len(self):
            raise IndexError(index)
        # a view would keep its slab in memory while the next one is computed
        values: NDArray[Any] = self.result_with(index).volume.voxels[index - self._inside].copy()
        return values

    def _some(self, indices: range) -> Sequence[NDArray[Any]]:
        """A view of a slab, where they are of one; it must be dropped before another slab is asked for."""
        if not indices or indices.step != 1:
            return [self[k] for k in indices]
        voxels: Any = self.result_with(indices[0]).volume.voxels
        if indices[-1] not in self._slab:
            del voxels
            return [self[k] for k in indices]
        view: Sequence[NDArray[Any]] = voxels[indices[0] - self._inside : indices[-1] + 1 - self._inside]
        return view

    def result_with(self, k: int) -> ImageResult:
        """The task's result for the slab that has slice `k`."""
        if self._result is None or k not in self._slab or self._memory.whole_numbers != self.whole_numbers:
            self._result = None  # its memory is needed for the next one
            self._result = self._computed(k)
        return self._result

    def _computed(self, k: int) -> ImageResult:
        """The result of the slab that has slice `k`, after those that come before it where slabs follow each other."""
        while True:
            slab = self._way.slab_towards(k)
            result = self._result_of(slab)
            if k in slab.right:
                self._slab, self._inside = slab.right, slab.made.start
                return result
            del result  # its memory is needed for the next one

    def _result_of(self, slab: Slab) -> ImageResult:
        start, stop = slab.right.start, slab.right.stop
        message = f"computing slices {start + 1} to {stop} of {len(self)}"

        def report(fraction: float, _: str) -> None:
            # the slices of the slab are told of, one by one, when they are asked for
            self._report(start / len(self), message)

        report(0.0, message)
        headers = self._series.headers[slab.source.start : slab.source.stop]
        with limited_memory(sum(header.slice_bytes for header in headers)):
            source = self._reader.read(slab.source.start, slab.source.stop)
        self._memory.whole_numbers = self.whole_numbers
        with self._memory.offered():
            result = self._way.compute(source, report)
        if not isinstance(result, ImageResult):
            raise TaskResultInvalid(
                f"the task {self._task.name} makes labels, so it cannot be computed slab by slab; "
                "its halo_slices must be None"
            )
        refuse_other_grid(result.volume, self._series.geometry.slab(slab.made.start, slab.made.stop), source.unit)
        return result
