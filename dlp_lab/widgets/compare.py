"""Before and after in a notebook: the viewer on both, and by how much they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import msgspec
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.jobs.convert import read_series
from dlp_lab.jobs.handle import JobHandle
from dlp_lab.notebook_html import facts_html, table_html
from dlp_lab.store.hdf5 import open_hdf5
from dlp_lab.tasks import task_named
from dlp_lab.volume import Volume, refuse_other_than_volumes
from dlp_lab.widgets.closing import ClosingBox
from dlp_lab.widgets.slice_viewer import SliceViewer

_LABELS_FILE, _MEASUREMENTS_FILE = "labels.h5", "measurements.json"
_SLAB_BYTES = 2**24


@dataclass(frozen=True)
class Change:
    """By how much two volumes of one grid differ.

    Attributes:
        mean, greatest: Of the absolute differences, in the volumes' unit.
        at_kji: Index of the voxel that differs most.
        share: Of the voxels that differ at all, 0 to 1.
    """

    mean: float
    greatest: float
    at_kji: tuple[int, int, int]
    share: float


class Compare(ClosingBox):
    """A volume beside another one on its grid, or under labels, with the numbers that go with it.

    Args:
        before: A volume.
        after: What became of it.
        labels: Whole numbers on the same grid, drawn over it.
        names: What the two volumes are called.
        label_names: Names of labels by their numbers.
        window: Least and greatest value shown.
        height_px: Height of the viewer.

    Raises:
        VolumeError: Something else than volumes is given, they do not lie on one grid, or the labels are no whole
            numbers from 0.
    """

    def __init__(
        self,
        before: Volume,
        after: Volume | None = None,
        *,
        labels: Volume | None = None,
        names: tuple[str, str] = ("before", "after"),
        label_names: Mapping[int, str] | None = None,
        window: tuple[float, float] | None = None,
        height_px: int = 480,
    ) -> None:
        refuse_other_than_volumes({"before": before, "after": after, "labels": labels})
        if after is not None and not after.geometry.matches(before.geometry):
            raise VolumeError(
                "the two volumes lie on different grids, so their voxels cannot be compared one by one; resample one "
                "onto the grid of the other, or look at both in a SliceViewer"
            )
        if labels is not None and (labels.voxels.dtype.kind not in "iu" or labels.voxels.min() < 0):
            raise VolumeError("labels are whole numbers, of which 0 is clear and none is negative; these are not")
        self.viewer = SliceViewer(
            before, after, labels=labels, names=names, label_names=label_names, window=window, height_px=height_px
        )
        hold_height(self.viewer)
        told = []
        if after is not None:
            told.append(_change_html(change(before, after), f" {before.unit}" if before.unit else ""))
        if labels is not None:
            told.append(_labels_html(labels, label_names or {}))
        super().__init__([self.viewer, *(widgets.HTML(text) for text in told)])
        self.add_class("dlp-Compare")

    @classmethod
    def of_job(cls, job: JobHandle, *, height_px: int = 480) -> Compare:
        """The source of a job that succeeded, beside its result or under the structures that it found.

        Raises:
            JobFailed: It has no result.
            DlpError: Source or result cannot be read any more.
        """
        result, record = job.output_path, job.job
        before = read_series(job.input_path, **msgspec.to_builtins(record.read))
        if task_named(record.task).makes == "labels":
            labels = open_hdf5(result / _LABELS_FILE)
            return cls(before, labels=labels, label_names=_label_names(result), height_px=height_px)
        return cls(before, read_series(result), height_px=height_px)


def hold_height(viewer: SliceViewer) -> None:
    """Keep a viewer as high as it says, whatever box it is put into.

    ipywidgets takes away the height that a view gave itself where the layout has none.
    """
    viewer.layout.height, viewer.layout.flex = f"{viewer.height_px}px", "0 0 auto"


def change(before: Volume, after: Volume) -> Change:
    """By how much two volumes differ; a few slices at a time, so volumes larger than the memory will do."""
    total, differing, greatest, at = 0.0, 0, -1.0, (0, 0, 0)
    for first, one, other in _slabs(before.voxels, after.voxels):
        difference = np.abs(other.astype(np.float64) - one)
        total += float(difference.sum())
        differing += int(np.count_nonzero(difference))
        where = np.unravel_index(int(difference.argmax()), difference.shape)
        if difference[where] > greatest:
            greatest = float(difference[where])
            at = (first + int(where[0]), int(where[1]), int(where[2]))
    return Change(total / before.voxels.size, greatest, at, differing / before.voxels.size)


def _slabs(one: NDArray[Any], other: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    depth = max(1, _SLAB_BYTES // (one[0].size * 8))
    for first in range(0, len(one), depth):
        yield first, one[first : first + depth], other[first : first + depth]


def _change_html(found: Change, unit: str) -> str:
    place = ", ".join(str(n) for n in found.at_kji)
    return facts_html(
        {
            "changed on average by": f"{found.mean:.4g}{unit}",
            "at most by": f"{found.greatest:.4g}{unit}, at [{place}]",
            "voxels that changed": f"{found.share:.1%}",
        }
    )


def _labels_html(labels: Volume, names: Mapping[int, str]) -> str:
    counts = np.bincount(labels.voxels.ravel())
    voxel_ml = abs(np.linalg.det(labels.geometry.affine_kji_to_lps[:3, :3])) / 1000
    rows = [
        (str(number), names.get(number, ""), f"{count}", f"{count * voxel_ml:.2f}")
        for number, count in enumerate(counts.tolist())
        if number and count
    ]
    return table_html(("label", "structure", "voxels", "ml"), rows) if rows else escape("No structure was found.")


def _label_names(result: Path) -> dict[int, str]:
    measured = json.loads((result / _MEASUREMENTS_FILE).read_text(encoding="utf-8"))
    return {label["number"]: label["name"] for label in measured["labels"]}
