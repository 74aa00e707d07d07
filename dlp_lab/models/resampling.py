"""Values of one grid at the places of another, in slabs, so that no coordinates of a whole volume are ever held."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import FloatArray
from dlp_lab.large_arrays import volume_array
from dlp_lab.models.grid import NetworkGrid
from dlp_lab.processors import in_parts

FloatVolume = NDArray[np.float32]


def to_network(oriented: NDArray[Any], grid: NetworkGrid, order: Literal[0, 1, 3]) -> FloatVolume:
    """The source's values at the network's voxels.

    Where the axes are parallel, values beyond the source's outermost centres are those of the outermost voxels (there
    is half a voxel of the source yet); elsewhere they are 0, the air around the patient.

    Args:
        oriented: `(a, b, c)` the source in the network's order of axes.
        grid: Where the network's voxels lie.
        order: 0 nearest, 1 linear, 3 cubic splines.

    Returns:
        A new `(a, b, c)` float32 array.
    """
    if grid.is_source:
        start = grid.offset.astype(int)
        box = tuple(slice(first, first + length) for first, length in zip(start, grid.shape, strict=True))
        made = volume_array(grid.shape, np.float32)

        def copy(first: int, end: int) -> None:
            made[first:end] = oriented[box][first:end]

        in_parts(copy, grid.shape[0])
        return made
    if grid.is_parallel and order <= 1:
        axes = [
            AxisPlaces.of(grid.offset[axis] + grid.matrix[axis, axis] * np.arange(length), oriented.shape[axis], order)
            for axis, length in enumerate(grid.shape)
        ]
        made = volume_array(grid.shape, np.float32)

        def fill(first: int, end: int) -> None:
            for plane in range(first, end):
                made[plane] = interpolated_plane(oriented, axes, plane)

        in_parts(fill, grid.shape[0])
        return made
    return _transformed(oriented, grid, order)


def _as_float32(values: NDArray[Any]) -> FloatVolume:
    if values.dtype == np.float32:
        return values
    made = volume_array(values.shape, np.float32)
    made[...] = values
    return made


def _transformed(oriented: NDArray[Any], grid: NetworkGrid, order: Literal[0, 1, 3]) -> FloatVolume:
    """By scipy, in slabs on as many threads as there are to use; it lets go of the interpreter's lock."""
    from scipy import ndimage

    made = volume_array(grid.shape, np.float32)
    values: FloatVolume = _as_float32(oriented)
    if order > 1:
        coefficients = volume_array(values.shape, np.float32)
        ndimage.spline_filter(values, order, coefficients, mode="mirror")
        values = coefficients
    mode: Literal["nearest", "constant"] = "nearest" if grid.is_parallel else "constant"

    def fill(first: int, end: int) -> None:
        offset = grid.offset + grid.matrix[:, 0] * first
        slab = made[first:end]
        ndimage.affine_transform(values, grid.matrix, offset, output=slab, order=order, mode=mode, prefilter=False)

    in_parts(fill, grid.shape[0])
    return made


@dataclass(frozen=True)
class AxisPlaces:
    """Places between the voxels of one axis: the voxels before and after each, and the weight of the second."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, coordinates: FloatArray, length: int, order: int = 1) -> AxisPlaces:
        """At `coordinates`, which are held within the axis of that length."""
        held = np.clip(coordinates, 0, length - 1)
        if order == 0:
            held = np.floor(held + 0.5)
        low = np.minimum(np.floor(held).astype(np.intp), length - 1)
        high = np.minimum(low + 1, length - 1)
        return cls(low, high, (held - low).astype(np.float32))

    @property
    def is_exact(self) -> bool:
        """Whether every place is that of a voxel."""
        return not self.weight.any()


def interpolated_plane(values: NDArray[Any], axes: list[AxisPlaces], plane: int) -> FloatVolume:
    """One plane of the places that three axes span, linear between the voxels of `values`, `(a, b, c)`."""
    first, rows, columns = axes
    made: FloatVolume = values[first.low[plane]].astype(np.float32)
    weight = first.weight[plane]
    if weight:
        made = _between(made, values[first.high[plane]].astype(np.float32), weight)
    return _along(_along(made, rows, 0), columns, 1)


def values_at(scores: FloatVolume, points: FloatArray) -> Iterator[FloatVolume]:
    """Values of each channel at the same places, linear between the eight voxels around each.

    Voxels and weights are found once for all channels, and channels are read where they lie.

    Args:
        scores: `(channels, a, b, c)`; the last axis is contiguous.
        points: `(3, n)` places within the volume.

    Returns:
        For each channel in turn `(n,)`.
    """
    strides = [stride // scores.itemsize for stride in scores.strides[1:]]
    first = np.zeros(points.shape[1], np.intp)
    beyond = []
    for axis, length in enumerate(scores.shape[1:]):
        low = np.minimum(points[axis].astype(np.intp), max(0, length - 2))
        beyond.append((points[axis] - low).astype(np.float32))
        first += low * strides[axis]
        if length == 1:
            strides[axis] = 0
    offsets = [sum(pair) for pair in itertools.product((0, strides[0]), (0, strides[1]), (0, strides[2]))]
    span = 1 + sum(
        (length - 1) * stride // scores.itemsize
        for length, stride in zip(scores.shape[1:], scores.strides[1:], strict=True)
    )
    for channel in scores:
        # the memory that the channel lies in, which may be part of a larger array
        flat = np.lib.stride_tricks.as_strided(channel, (span,), (scores.itemsize,), writeable=False)
        # mode "raise" would go by way of a copy
        around = [np.take(flat[offset:], first, mode="clip") for offset in offsets]
        for weight in beyond:
            half = len(around) // 2
            around = [_between(low, high, weight) for low, high in zip(around[:half], around[half:], strict=True)]
        yield around[0]


def _between(low: FloatVolume, high: FloatVolume, weight: NDArray[np.float32] | np.float32) -> FloatVolume:
    """From `low` to `high` by a share of the way; both are used up.

    The one formula of this module, so that the same places get the same values, to the last bit, whichever way.
    """
    low *= 1 - weight
    high *= weight
    low += high
    return low


def _along(values: FloatVolume, places: AxisPlaces, axis: int) -> FloatVolume:
    made: FloatVolume = np.take(values, places.low, axis=axis)
    if places.is_exact:
        return made
    weight = places.weight[:, np.newaxis] if axis == 0 else places.weight
    return _between(made, np.take(values, places.high, axis=axis), weight)
