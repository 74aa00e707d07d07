"""A task on one slice of a volume: computed on as few slices around it as give the same result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import DlpError, JobCancelled
from dlp_lab.geometry import Geometry
from dlp_lab.tasks.task import ImageResult, Report, Task, TaskResult
from dlp_lab.volume import Volume


@dataclass(frozen=True)
class SliceResult:
    """What a task makes of a slice.

    Attributes:
        values: `(rows, columns)`, the new values or labels.
        slices: On how many slices it was computed.
    """

    values: NDArray[Any]
    slices: int


def run_on_slice(task: Task, volume: Volume, index_k: int, report: Report) -> SliceResult:
    """The slice `index_k` of the task's result.

    A task says how far its result reaches (`ImageResult.reach_slices`) with the result, so it is run on the slice
    alone first, and again on as many slices as it then asks for. Where it does not say, or makes labels, all are taken.

    Raises:
        DlpError: The task refuses the whole volume; or `report` raised.
    """
    depth = volume.geometry.shape[0]
    reach_slices = 0 if task.makes == "image" else depth
    while True:
        first, last = max(0, index_k - reach_slices), min(depth, index_k + reach_slices + 1)
        is_whole = last - first == depth
        slab = volume if is_whole else slab_of(volume, first, last)
        try:
            result = task.run(slab, report)
        except JobCancelled:
            raise
        except DlpError:
            if is_whole:
                raise
            reach_slices = depth  # it may be the few slices that it refuses
            continue
        needed = _reach_slices(result, depth)
        if is_whole or needed <= reach_slices:
            return SliceResult(result.volume.voxels[index_k - first], last - first)
        reach_slices = needed


def slab_of(volume: Volume, first: int, last: int) -> Volume:
    """The slices from `first` up to `last`, without it, where they lie; a view of the voxels."""
    affine = volume.geometry.affine_kji_to_lps.copy()
    affine[:, 3] = affine @ np.array((first, 0, 0, 1))
    voxels = volume.voxels[first:last]
    geometry = Geometry(voxels.shape, affine, volume.geometry.frame_of_reference_uid)
    return Volume(voxels, geometry, volume.unit, volume.modality, volume.source_series_uid)


def _reach_slices(result: TaskResult, depth: int) -> int:
    if isinstance(result, ImageResult) and result.reach_slices is not None:
        return result.reach_slices
    return depth
