"""Volumes of another number of voxels over the same extent, to the last bit as `skimage.transform.resize` makes them.

That is what nnU-Net resamples with. With mode "edge" and without smoothing it is scipy's zoom of a grid whose voxels
have an extent, held within the values that were there; so scikit-image is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.processors import threads_to_use

FloatVolume = NDArray[np.float32]


def resized(
    values: NDArray[Any], shape: tuple[int, int, int], order: Literal[0, 1, 3], coarse_axis: int | None
) -> FloatVolume:
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
        return np.array(values, np.float32, order="C")
    if coarse_axis is None:
        return _zoomed(values, shape, order)
    planes = np.moveaxis(values, coarse_axis, 0)
    in_plane = tuple(length for axis, length in enumerate(shape) if axis != coarse_axis)
    made = np.empty((len(planes), *in_plane), np.float32)

    def fill(number: int) -> None:
        made[number] = _zoomed(planes[number], in_plane, order)

    with ThreadPoolExecutor(threads_to_use()) as threads:  # scipy lets go of the interpreter's lock
        list(threads.map(fill, range(len(planes))))
    count = shape[coarse_axis]
    at = np.floor(len(planes) / count * (np.arange(count) + 0.5) - 0.5 + 0.5).astype(int)  # with scipy's rounding
    return np.ascontiguousarray(np.moveaxis(made[at], 0, coarse_axis))


def _zoomed(values: NDArray[Any], shape: Sequence[int], order: Literal[0, 1, 3]) -> FloatVolume:
    from scipy import ndimage

    if values.shape == tuple(shape):
        return np.asarray(values, np.float32)
    factors = [wanted / own for wanted, own in zip(shape, values.shape, strict=True)]
    exact: NDArray[np.float64] = np.asarray(values, np.float64)
    made: NDArray[np.float64] = ndimage.zoom(exact, factors, order=order, mode="nearest", grid_mode=True)
    return np.asarray(np.clip(made, exact.min(), exact.max()), np.float32)
