"""A job that is read, computed and written slab by slab, so that the memory need not hold its volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.compressed import decoded_here
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import values_dtype
from dlp_lab.dicom.rescale import Rescale, ValueRange
from dlp_lab.dicom.series import Series
from dlp_lab.dicom.slab_reader import SlabReader, is_read_slice_by_slice
from dlp_lab.dicom.write_streamed import are_whole_numbers, stored_as_in_source, write_streamed
from dlp_lab.jobs.derived_slabs import DerivedSlabs
from dlp_lab.jobs.image_result import ExpectedValues, on_steps, shared_steps, told_of_computation, told_of_image
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.memory_share import fits
from dlp_lab.jobs.slab_way import slab_way
from dlp_lab.kernels.measures import LineSums
from dlp_lab.store.metadata import described
from dlp_lab.store.provenance import ValueProfiles
from dlp_lab.tasks.task import ImageResult, Report, Task

if TYPE_CHECKING:
    from dlp_lab.jobs.kept_slabs import KeptSlabs

_RESULT_BYTES, _ROUNDED_BYTES, _LABEL_BYTES = 4, 2, 1
"""Of a voxel of a result or of a network's input, which is float32 as a rule; of a result where whole numbers of the
source's unit are enough; and of labels."""


def whole_bytes(task: Task, series: Series) -> int:
    """Of the volumes that a job holds at once if it is done with whole ones, at least."""
    of_result = _RESULT_BYTES + (_LABEL_BYTES if task.makes == "labels" else 0)
    return math.prod(series.geometry.shape) * (values_dtype(series).itemsize + of_result)


def halo_of_streamed_job(task: Task, job: Job, series: Series) -> int | None:
    """How many slices a job needs beside those that it computes; None if it is done with whole volumes.

    Slabs use the same memory again and again, which takes less time than to touch all that a volume needs. Whole
    volumes are taken where the task needs them, where slices are padded or resampled; and, if they fit into the memory
    (`memory_share.py`), where it is known only when all values are computed how they are stored: in a parametric map,
    or where slices have slopes of their own.
    """
    if task.makes != "image" or not is_read_slice_by_slice(series):
        return None
    known_only_at_the_end = job.output_form == "parametric_map" or stored_as_in_source(series.headers) is None
    if known_only_at_the_end and fits(whole_bytes(task, series)):
        return None
    return task.halo_slices(series.geometry)


@dataclass(frozen=True)
class StreamedJob:
    """What a job that was done slab by slab has to tell.

    Attributes:
        result: The record's part about the result.
        source: Its part about the volume that was read.
        warnings: What was noticed in the input and accepted.
    """

    result: dict[str, object]
    source: dict[str, object]
    warnings: tuple[str, ...]


def run_in_slabs(
    task: Task, job: Job, series: Series, halo: int, folder: Path, report: Report, threads: int | None
) -> StreamedJob:
    """Do a job that `halo_of_streamed_job` has a halo for; what is written is the same, byte for byte.

    Args:
        task, job, series: What to do.
        halo: How many slices the task needs beside those that it computes.
        folder: Gets the derived images, and the files of `keep_hdf5`.
        report: Told of the progress.
        threads: How many may decode.

    Raises:
        DlpError: The job cannot be done.
    """
    if not job.keep_hdf5:
        return _run(task, job, series, halo, folder, report, threads, None)
    from dlp_lab.jobs.kept_slabs import kept_slabs  # loads h5py

    with kept_slabs(series, folder) as kept:
        return _run(task, job, series, halo, folder, report, threads, kept)


def _run(
    task: Task,
    job: Job,
    series: Series,
    halo: int,
    folder: Path,
    report: Report,
    threads: int | None,
    kept: KeptSlabs | None,
) -> StreamedJob:
    pixels = series.geometry.shape[1] * series.geometry.shape[2]
    whole_numbers = not _keeps_fractions(job) and are_whole_numbers(stored_as_in_source(series.headers))
    result_bytes = _ROUNDED_BYTES if whole_numbers else _RESULT_BYTES
    way = slab_way(task, series.geometry, halo, pixels * (values_dtype(series).itemsize + result_bytes))
    see_source, settle = (None, None) if kept is None else (kept.see_source, kept.settle)
    reader = SlabReader(series, partial(decoded_here, threads=threads), see_source, settle, way.most_source)
    slabs = DerivedSlabs(task, way, series, reader, report)
    slabs.whole_numbers = whole_numbers
    derivation, computation, unit = _about(job, slabs.result_with(0), kept)
    seen = _SeenValues(series.geometry.shape, kept)
    written = write_streamed(job.output_form, series, slabs, folder, derivation, report, seen, unit)
    told_of_source = described(reader.read(0, 1), series.geometry, str(reader.dtype), reader.value_range)
    if kept is not None:
        last = slabs.result_with(len(slabs) - 1).volume
        told_of_result = described(last, series.geometry, str(last.voxels.dtype), seen.value_range)
        kept.finish(job.read, told_of_source, told_of_result)
    return StreamedJob(
        result=told_of_image(computation, written, series.geometry, seen.values()),
        source=told_of_source,
        warnings=reader.warnings,
    )


def _keeps_fractions(job: Job) -> bool:
    """Whether values are kept as they were computed, not only as stored integers."""
    return job.keep_hdf5 or job.output_form == "parametric_map"


def _about(job: Job, result: ImageResult, kept: KeptSlabs | None) -> tuple[Derivation, dict[str, object], str | None]:
    """What is told of a result without its voxels, and its unit."""
    if kept is not None:
        kept.begin_result(result.volume)
    derivation = Derivation(job.uid, job.task, result.description, result.derivation_code, result.reach_slices)
    return derivation, told_of_computation(result), result.volume.unit


class _SeenValues:
    """What the record tells of the values, taken down as they are written. A `Watcher`."""

    def __init__(self, shape: tuple[int, int, int], kept: KeptSlabs | None) -> None:
        self._shape = shape
        self._kept = kept
        self.value_range = np.inf, -np.inf
        self._steps: tuple[float, float] | None = None
        self._profiles = ValueProfiles(shape)

    def begin(self, rescales: Sequence[Rescale]) -> None:
        self.value_range = np.inf, -np.inf
        self._steps = shared_steps(rescales)
        self._profiles = ValueProfiles(self._shape, *(self._steps or ()))
        if self._kept is not None:
            self._kept.restart_result()

    def see(
        self,
        first: int,
        slices: NDArray[Any],
        ranges: Sequence[ValueRange],
        stored: NDArray[Any],
        sums: LineSums | None,
    ) -> None:
        low, high = self.value_range
        self.value_range = min(low, *(found.low for found in ranges)), max(high, *(found.high for found in ranges))
        self._profiles.add(first, stored, sums)
        if self._kept is not None:
            self._kept.see_result(first, slices)

    def values(self) -> ExpectedValues:
        return ExpectedValues(self._shape, on_steps(self.value_range, self._steps), self._profiles.means())
