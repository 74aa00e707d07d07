"""Values of one grid at the voxels of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EDGE = 0.5 + 1e-6
"""A voxel reaches half its size beyond its centre."""


def resampled(
    voxels: NDArray[Any], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[NDArray[np.float32], float]:
    """Interpolate linearly, slice by slice, so that no coordinates of a whole volume are ever held.

    Args:
        voxels: `(k, j, i)`.
        matrix, offset: From an index of the new grid to one of `voxels`, `(3, 3)` and `(3,)`.
        shape: Of the new grid.

    Returns:
        `(k, j, i)` float32 values, the least of `voxels` beyond their outermost edges, and the share of the new grid
        that lies within these.
    """
    values = np.asarray(voxels, np.float32)
    made = np.full(shape, values.min(), np.float32)
    last = np.asarray(values.shape) - 1
    rows, columns = (grid.ravel() for grid in np.indices(shape[1:]))
    covered = 0
    for k in range(shape[0]):
        at = matrix[:, :1] * k + matrix[:, 1:2] * rows + matrix[:, 2:] * columns + offset[:, np.newaxis]
        inside = ((at >= -_EDGE) & (at <= last[:, np.newaxis] + _EDGE)).all(axis=0)
        covered += int(inside.sum())
        if inside.any():
            within = np.clip(at[:, inside], 0, last[:, np.newaxis])
            made[k].reshape(-1)[inside] = ndimage.map_coordinates(values, within, order=1, mode="nearest")
    return made, covered / made.size
