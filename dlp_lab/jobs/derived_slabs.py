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
from dlp_lab.result_memory import ResultMemory
from dlp_lab.tasks.task import ImageResult, Report, Task


class DerivedSlabs(SlicesOnDemand):
    """The slices of a task's result, of which one slab is in memory.

    Args:
        task: Makes them.
        series: The source; each of its slices is one of the volume.
        reader: Of the series.
        thickness: How many slices of the result are made at once.
        halo: How many more of the source they need to either side.
        report: Told which slices are computed; may raise `JobCancelled`.
    """

    def __init__(
        self, task: Task, series: Series, reader: SlabReader, thickness: int, halo: int, report: Report
    ) -> None:
        self._task = task
        self._series = series
        self._reader = reader
        self._thickness = thickness
        self._halo = halo
        self._report = report
        self._memory = ResultMemory(thickness + 2 * halo, whole_numbers=False)
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
        if not indices or indices.step != 1 or indices[0] // self._thickness != indices[-1] // self._thickness:
            return [self[k] for k in indices]
        voxels: Any = self.result_with(indices[0]).volume.voxels
        view: Sequence[NDArray[Any]] = voxels[indices[0] - self._inside : indices[-1] + 1 - self._inside]
        return view

    def result_with(self, k: int) -> ImageResult:
        """The task's result for the slab that has slice `k`."""
        if self._result is None or k not in self._slab or self._memory.whole_numbers != self.whole_numbers:
            self._result = None  # its memory is needed for the next one
            self._result = self._computed(k // self._thickness * self._thickness)
        return self._result

    def _computed(self, start: int) -> ImageResult:
        stop = min(start + self._thickness, len(self))
        first, end = max(0, start - self._halo), min(len(self), stop + self._halo)
        message = f"computing slices {start + 1} to {stop} of {len(self)}"

        def report(fraction: float, _: str) -> None:
            # the slices of the slab are told of, one by one, when they are asked for
            self._report(start / len(self), message)

        report(0.0, message)
        with limited_memory(sum(header.slice_bytes for header in self._series.headers[first:end])):
            source = self._reader.read(first, end)
        self._memory.whole_numbers = self.whole_numbers
        with self._memory.offered():
            result = self._task.run(source, report)
        if not isinstance(result, ImageResult):
            raise TaskResultInvalid(
                f"the task {self._task.name} makes labels, so it cannot be computed slab by slab; "
                "its halo_slices must be None"
            )
        refuse_other_grid(result.volume, source.geometry, source.unit)
        self._slab, self._inside = range(start, stop), first
        return result
