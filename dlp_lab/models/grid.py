"""The grid that a network works on, and the way there and back.

Three grids: the source's; the *oriented* one, which has the source's voxels with their axes in the network's order; the
network's own. Between the last two lies one matrix, diagonal where their axes are parallel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import FloatArray, Geometry, Reorientation, patient_axes
from dlp_lab.models.description import CentredGrid, Crop, ModelDescription, SpacedGrid, StretchedGrid

_UNCHANGED = Reorientation((0, 1, 2), (False, False, False))
_PARALLEL = 1e-9
MAX_VOXELS = 2**31


@dataclass(frozen=True, eq=False)
class NetworkGrid:
    """Where the network's voxels lie in the source.

    Attributes:
        reorientation: From the source's axes to the network's.
        shape: Lengths of the network's volume.
        matrix, offset: From an index of the network's volume to one of the oriented source, `(3, 3)` and `(3,)`.
    """

    reorientation: Reorientation
    shape: tuple[int, int, int]
    matrix: FloatArray
    offset: FloatArray

    @property
    def is_parallel(self) -> bool:
        """Whether each axis follows one of the oriented source, so that it can be treated by itself."""
        return float(np.abs(self.matrix - np.diag(np.diag(self.matrix))).max()) < _PARALLEL

    @property
    def is_source(self) -> bool:
        """Whether the voxels are the source's own."""
        return np.array_equal(self.matrix, np.eye(3)) and bool((self.offset == np.rint(self.offset)).all())

    def padded(self, shape: Sequence[int], before: Sequence[int]) -> NetworkGrid:
        """The grid with `before` voxels more at the start of each axis, and lengths of `shape`."""
        return NetworkGrid(
            self.reorientation,
            (int(shape[0]), int(shape[1]), int(shape[2])),
            self.matrix,
            self.offset - self.matrix @ np.asarray(before, float),
        )


@dataclass(frozen=True)
class Box:
    """A part of the oriented source: its first index and its lengths."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]


def whole_grid(description: ModelDescription, source: Geometry, size: tuple[int, int, int]) -> NetworkGrid:
    """All of the source in `size` voxels."""
    turn = orientation_of(description, source)
    return _stretched(turn, np.zeros(3), np.asarray(turn.grid(source).shape), np.asarray(size))


def orientation_of(description: ModelDescription, source: Geometry) -> Reorientation:
    """How the source's axes become the network's.

    Raises:
        VolumeError: The source's axes are too oblique to be told apart.
    """
    letters = description.orientation
    return _UNCHANGED if letters is None else Reorientation.towards(source, letters)


def network_grid(
    description: ModelDescription, source: Geometry, voxels: NDArray[Any], located: Box | None = None
) -> NetworkGrid:
    """Where a network looks.

    Args:
        description: Of the network.
        source: Grid of the image.
        voxels: Its values; looked at only where the description crops by them.
        located: The part of the oriented source that its locator found; all of it if None.

    Raises:
        InputUnsuitable: It would have more voxels than can be held.
        VolumeError: The source's axes are too oblique to be told apart.
    """
    letters = description.orientation
    turn = orientation_of(description, source)
    oriented = turn.grid(source)
    start, size = np.zeros(3), np.asarray(oriented.shape)
    if located is not None:
        start, size = np.asarray(located.start, float), np.asarray(located.size)
    elif description.crop is not None:
        start, size = _box(turn.view(voxels), oriented, description.crop)
    wanted = description.grid
    if isinstance(wanted, CentredGrid):
        assert letters is not None
        return _centred(turn, oriented, wanted, letters, start + (size - 1) / 2)
    shape = size
    if isinstance(wanted, SpacedGrid):
        shape = np.maximum(1, np.rint(size * oriented.spacing_kji_mm / np.asarray(wanted.spacing_mm))).astype(int)
    elif isinstance(wanted, StretchedGrid):
        shape = np.asarray(wanted.size)
    return _stretched(turn, start, size, shape)


def _stretched(
    turn: Reorientation, start: FloatArray, size: NDArray[np.int64], shape: NDArray[np.int64]
) -> NetworkGrid:
    """The box in as many voxels as `shape` says; the outer edges of both are the same planes."""
    _refuse_too_large(shape)
    scale = size / shape
    return NetworkGrid(turn, _triple(shape), np.diag(scale), start + (scale - 1) / 2)


def _centred(
    turn: Reorientation, oriented: Geometry, wanted: CentredGrid, letters: str, centre_index: FloatArray
) -> NetworkGrid:
    _refuse_too_large(wanted.size)
    steps = patient_axes(letters) * np.asarray(wanted.spacing_mm)
    centre = oriented.positions_lps_mm(centre_index)
    first = centre - steps @ ((np.asarray(wanted.size) - 1) / 2)
    into = np.linalg.inv(oriented.affine_kji_to_lps)
    return NetworkGrid(turn, wanted.size, into[:3, :3] @ steps, into[:3, :3] @ first + into[:3, 3])


def _box(values: NDArray[Any], oriented: Geometry, crop: Crop) -> tuple[FloatArray, NDArray[np.int64]]:
    """First index and size of the box of values above the threshold; everything where there are none."""
    lows, highs = [], []
    inside = values > crop.threshold
    for axis, spacing in enumerate(oriented.spacing_kji_mm):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(inside.any(axis=others))
        if found.size == 0:
            return np.zeros(3), np.asarray(oriented.shape)
        margin = round(crop.margin_mm / spacing)
        lows.append(max(0, found[0] - margin))
        highs.append(min(values.shape[axis], found[-1] + 1 + margin))
    return np.asarray(lows, float), np.subtract(highs, lows)


def _refuse_too_large(shape: Sequence[int] | NDArray[np.int64]) -> None:
    voxels = float(np.prod(np.asarray(shape, float)))
    if voxels > MAX_VOXELS:
        raise InputUnsuitable(
            f"the model would need {voxels:.3g} voxels for this series, and {MAX_VOXELS:.3g} are the most; "
            "choose fewer slices, or a model with larger voxels"
        )


def _triple(shape: NDArray[Any]) -> tuple[int, int, int]:
    return int(shape[0]), int(shape[1]), int(shape[2])
