"""The grid that a network works on, and the way there and back.

Three grids: the source's; the *oriented* one, which has the source's voxels with their axes in the network's order; the
network's own. Between the last two lies one matrix, diagonal where their axes are parallel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import FloatArray, Geometry, Reorientation, patient_axes
from dlp_lab.models.description import CentredGrid, Crop, Grid, ModelDescription, SpacedGrid, StretchedGrid

_PARALLEL = 1e-9
_SAME_SPACING = 1e-6
MAX_VOXELS = 2**31


@dataclass(frozen=True, eq=False)
class NetworkGrid:
    """Where the network's voxels lie in the source.

    Attributes:
        reorientation: From the source's axes to the network's.
        shape: Lengths of the network's volume.
        matrix, offset: From an index of the network's volume to one of the oriented source, `(3, 3)` and `(3,)`.
        reach: How far before the first and behind the last centre of each axis, in voxels, the result holds; 0.5 is the
            outer edge.
        padding: How many voxels at the start and at the end of each axis are no part of the image, and of its result.
    """

    reorientation: Reorientation
    shape: tuple[int, int, int]
    matrix: FloatArray
    offset: FloatArray
    reach: tuple[tuple[float, float], ...] = ((0.5, 0.5),) * 3
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0), (0, 0))

    @property
    def is_parallel(self) -> bool:
        """Whether each axis follows one of the oriented source, so that it can be treated by itself."""
        return float(np.abs(self.matrix - np.diag(np.diag(self.matrix))).max()) < _PARALLEL

    @property
    def is_source(self) -> bool:
        """Whether the voxels are the source's own."""
        return np.array_equal(self.matrix, np.eye(3)) and bool((self.offset == np.rint(self.offset)).all())

    def part(self, box: Sequence[slice], reach: float) -> NetworkGrid:
        """The voxels of a box alone; the result holds `reach` voxels beyond where something was cut off."""
        start = np.asarray([along.start for along in box], float)
        shape = np.asarray([along.stop - along.start for along in box])
        reaches = tuple(
            (reach if along.start > 0 else before, reach if along.stop < length else behind)
            for along, length, (before, behind) in zip(box, self.shape, self.reach, strict=True)
        )
        return replace(self, shape=_triple(shape), offset=self.offset + self.matrix @ start, reach=reaches)

    def padded(self, shape: Sequence[int], before: Sequence[int]) -> NetworkGrid:
        """The grid with `before` voxels more at the start of each axis, and lengths of `shape`."""
        after = [wanted - own - first for wanted, own, first in zip(shape, self.shape, before, strict=True)]
        return replace(
            self,
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            offset=self.offset - self.matrix @ np.asarray(before, float),
            padding=tuple(zip(before, after, strict=True)),
        )

    def ends(self, axis: int) -> tuple[int, int]:
        """Index of the first and of the last voxel that is no padding."""
        before, after = self.padding[axis]
        return before, self.shape[axis] - 1 - after


def oriented_grid(description: ModelDescription, source: Geometry) -> NetworkGrid:
    """The source's own voxels, their axes in the order and direction of the network's.

    Raises:
        VolumeError: The source's axes are too oblique to be told apart.
    """
    letters = description.orientation
    if letters is None:
        turn = Reorientation(description.axis_order, (False, False, False))
    else:
        turn = Reorientation.towards(source, letters)
    return NetworkGrid(turn, turn.grid(source).shape, np.eye(3), np.zeros(3))


def network_grid(description: ModelDescription, source: Geometry, looked_at: NetworkGrid) -> NetworkGrid:
    """Where a network looks.

    Args:
        description: Of the network.
        source: Grid of the image.
        looked_at: The part of the oriented source that matters: a box of its voxels, or all.

    Raises:
        InputUnsuitable: It would have more voxels than can be held.
    """
    oriented = looked_at.reorientation.grid(source)
    start, size = looked_at.offset, np.asarray(looked_at.shape)
    wanted = description.grid
    if isinstance(wanted, CentredGrid):
        assert description.orientation is not None
        return _centred(looked_at.reorientation, oriented, wanted, description.orientation, start + (size - 1) / 2)
    if isinstance(wanted, StretchedGrid):
        return stretched_grid(looked_at, wanted.size)
    scale, shift, shape, reach = np.ones(3), np.zeros(3), size, looked_at.reach
    if isinstance(wanted, SpacedGrid):
        ratio = np.asarray(oriented.spacing_kji_mm) / spacing_mm(wanted, oriented)
        if wanted.align == "edges":
            shape = np.maximum(1, np.rint(ratio * size)).astype(int)
            scale = size / shape  # the outer edges of both grids are the same planes
            shift = (scale - 1) / 2
        else:
            shape = np.rint(ratio * (size - 1)).astype(int) + 1
            scale = 1 / ratio
            reach = ((math.inf, math.inf),) * 3  # the source may reach beyond; there, the outermost voxels are repeated
            if not _is_along_patient(oriented):
                shift = (size - scale * shape) / 2
    _refuse_too_large(shape)
    return NetworkGrid(looked_at.reorientation, _triple(shape), np.diag(scale), start + shift, reach)


def stretched_grid(looked_at: NetworkGrid, size: tuple[int, int, int]) -> NetworkGrid:
    """A part of the oriented source in `size` voxels; the outer edges of both are the same planes."""
    _refuse_too_large(size)
    scale = np.asarray(looked_at.shape) / np.asarray(size)
    offset = looked_at.offset + (scale - 1) / 2
    return NetworkGrid(looked_at.reorientation, size, np.diag(scale), offset, looked_at.reach)


def spacing_mm(wanted: Grid, oriented: Geometry) -> FloatArray:
    """Size `(3,)` of the network's voxels, in the order of its axes, as far as its description gives it."""
    own = oriented.spacing_kji_mm
    if not isinstance(wanted, SpacedGrid | CentredGrid):
        return np.asarray(own)
    return np.asarray([mm or of_source for mm, of_source in zip(wanted.spacing_mm, own, strict=True)])


def _is_along_patient(grid: Geometry) -> bool:
    """Whether each axis is one of the patient's, up to what a float32 holds."""
    steps = np.abs(grid.affine_kji_to_lps[:3, :3]) / np.asarray(grid.spacing_kji_mm)
    return bool((np.sort(steps, axis=0)[:2] < _PARALLEL).all())


def coarse_axis(first_mm: Sequence[float], second_mm: Sequence[float], ratio: float | None) -> int | None:
    """The one axis that is more than `ratio` times as coarse as the finest, in the first grid or else in the second."""
    if ratio is None:
        return None
    for spacing in (np.asarray(first_mm), np.asarray(second_mm)):
        if spacing.max() / spacing.min() > ratio:
            coarsest = np.flatnonzero(spacing > spacing.max() * (1 - _SAME_SPACING))
            return int(coarsest[0]) if coarsest.size == 1 else None
    return None


def _centred(
    turn: Reorientation, oriented: Geometry, wanted: CentredGrid, letters: str, centre_index: FloatArray
) -> NetworkGrid:
    _refuse_too_large(wanted.size)
    steps = patient_axes(letters) * np.asarray(wanted.spacing_mm)
    centre = oriented.positions_lps_mm(centre_index)
    first = centre - steps @ ((np.asarray(wanted.size) - 1) / 2)
    into = np.linalg.inv(oriented.affine_kji_to_lps)
    return NetworkGrid(turn, wanted.size, into[:3, :3] @ steps, into[:3, :3] @ first + into[:3, 3])


def foreground_box(values: NDArray[Any], crop: Crop, spacings_mm: Sequence[float]) -> tuple[slice, slice, slice]:
    """The box that `crop` leaves of `(a, b, c)` values; everything where there are none such."""
    inside = values != 0 if crop.of == "nonzero" else values > crop.threshold
    box = []
    for axis, spacing in enumerate(spacings_mm):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(inside.any(axis=others))
        if found.size == 0:
            return slice(0, values.shape[0]), slice(0, values.shape[1]), slice(0, values.shape[2])
        margin = round(crop.margin_mm / spacing) + crop.margin_voxels
        box.append(slice(max(0, int(found[0]) - margin), min(values.shape[axis], int(found[-1]) + 1 + margin)))
    return box[0], box[1], box[2]


def _refuse_too_large(shape: Sequence[int] | NDArray[np.int64]) -> None:
    voxels = float(np.prod(np.asarray(shape, float)))
    if voxels > MAX_VOXELS:
        raise InputUnsuitable(
            f"the model would need {voxels:.3g} voxels for this series, and {MAX_VOXELS:.3g} are the most; "
            "choose fewer slices, or a model with larger voxels"
        )


def _triple(shape: NDArray[Any]) -> tuple[int, int, int]:
    return int(shape[0]), int(shape[1]), int(shape[2])
