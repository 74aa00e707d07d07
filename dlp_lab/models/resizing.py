"""Volumes in another number of voxels over the same extent, as `skimage.transform.resize` makes them.

That is what nnU-Net resamples with. With mode "edge" and without smoothing it is scipy's zoom of a grid whose voxels
have an extent, held within the values that were there. Here it is done axis by axis, which takes 12 products for a
cubic spline in three dimensions and not 64, and plane by plane, in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlp_lab.large_arrays import volume_array
from dlp_lab.models.resampling import AxisPlaces, interpolated_plane
from dlp_lab.processors import in_parts

FloatVolume = NDArray[np.float32]
Shape = tuple[int, int, int]

_PADDING = 12
"""So often are outermost voxels repeated before splines are fitted, as by scipy; farther off, the end is not felt."""


def resized(values: NDArray[Any], shape: Shape, order: Literal[0, 1, 3], coarse_axis: int | None) -> FloatVolume:
    """`values` in another number of voxels.

    Args:
        values: `(a, b, c)`; they stay untouched.
        shape: Wanted lengths.
        order: 0 nearest, 1 linear, 3 cubic splines.
        coarse_axis: Planes across it are resized each by itself, and then along it by nearest neighbours; None for all
            axes alike.

    Returns:
        A new `shape` float32 array.
    """
    if values.shape == shape:
        same = volume_array(shape, np.float32)
        same[...] = values
        return same
    if coarse_axis is not None:
        planes = np.moveaxis(values, coarse_axis, 0)
        rows, columns = (length for axis, length in enumerate(shape) if axis != coarse_axis)
        made = _resized_along(planes, (len(planes), rows, columns), order, is_within_planes=True)
        repeated: FloatVolume = volume_array(shape, np.float32)
        nearest = _nearest(len(planes), shape[coarse_axis])
        for plane, number in zip(np.moveaxis(repeated, coarse_axis, 0), nearest, strict=True):
            plane[...] = made[number]
        return repeated
    return _resized_along(values, shape, order, is_within_planes=False)


def _resized_along(values: NDArray[Any], shape: Shape, order: Literal[0, 1, 3], is_within_planes: bool) -> FloatVolume:
    made = volume_array(shape, np.float32)
    if order == 3:
        _fill_cubic(made, values)
        _hold_within(made, values, is_within_planes)
        return made
    axes = [AxisPlaces.of(_places(own, wanted), own, order) for own, wanted in zip(values.shape, shape, strict=True)]

    def fill(first: int, end: int) -> None:
        for plane in range(first, end):
            made[plane] = interpolated_plane(values, axes, plane)

    in_parts(fill, shape[0])
    return made


def _places(own: int, wanted: int) -> NDArray[np.float64]:
    """Where the centres of `wanted` voxels lie among those of `own` voxels over the same extent."""
    return np.asarray(own / wanted * (np.arange(wanted) + 0.5) - 0.5, np.float64)


def _nearest(own: int, wanted: int) -> NDArray[np.intp]:
    return np.floor(_places(own, wanted) + 0.5).astype(np.intp)


def _hold_within(made: FloatVolume, values: NDArray[Any], is_within_planes: bool) -> None:
    """Splines go beyond the values that they lead through."""
    if is_within_planes:
        low, high = values.min(axis=(1, 2), keepdims=True), values.max(axis=(1, 2), keepdims=True)
    else:
        low, high = values.min(keepdims=True), values.max(keepdims=True)
    np.clip(made, low.astype(np.float32), high.astype(np.float32), out=made)


@dataclass(frozen=True)
class _CubicAxis:
    """A way from `own` voxels along an axis to others: for each the first of four coefficients, and their weights."""

    first: NDArray[np.intp]
    weights: NDArray[np.float32]

    @classmethod
    def between(cls, own: int, wanted: int) -> _CubicAxis:
        places = _places(own, wanted) + _PADDING
        low = np.floor(places)
        t = places - low
        weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
        return cls(low.astype(np.intp) - 1, weights.astype(np.float32))

    def along(self, values: FloatVolume, axis: int) -> FloatVolume:
        """`values` at the others, along one axis of any number."""
        from scipy import ndimage

        padding = [(_PADDING, _PADDING) if other == axis else (0, 0) for other in range(values.ndim)]
        padded = np.pad(values, padding, mode="edge")
        coefficients = np.empty_like(padded)
        ndimage.spline_filter1d(padded, 3, axis, coefficients, "nearest")
        form = [-1 if other == axis else 1 for other in range(values.ndim)]
        made: FloatVolume = np.take(coefficients, self.first, axis) * self.weights[0].reshape(form)
        for place in range(1, 4):
            made += np.take(coefficients, self.first + place, axis) * self.weights[place].reshape(form)
        return made


def _fill_cubic(made: FloatVolume, values: NDArray[Any]) -> None:
    """Resize into `made`: within planes first, then across them, so that no more than planes are held in between."""
    axes = [
        None if own == wanted else _CubicAxis.between(own, wanted)
        for own, wanted in zip(values.shape, made.shape, strict=True)
    ]
    within = made if axes[0] is None else volume_array((len(values), *made.shape[1:]), np.float32)

    def fill_planes(first: int, end: int) -> None:
        for number in range(first, end):
            plane: FloatVolume = np.asarray(values[number], np.float32)
            for axis in (0, 1):
                way = axes[axis + 1]
                plane = plane if way is None else way.along(plane, axis)
            within[number] = plane

    in_parts(fill_planes, len(values))
    across = axes[0]
    if across is None:
        return

    def fill_rows(first: int, end: int) -> None:
        for row in range(first, end):
            made[:, row] = across.along(within[:, row], 0)

    in_parts(fill_rows, made.shape[1])
