"""Values of one grid at the voxels of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EDGE = 0.5 + 1e-6
"""A voxel reaches half its size beyond its centre; a hair more, for borders that rounding moves."""


def places_within(
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    indices_kji: Sequence[NDArray[np.float64]],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Where voxels of one grid lie in another.

    Args:
        matrix, offset: From an index of the first grid to one of the other, `(3, 3)` and `(3,)`.
        indices_kji: Of the voxels along each axis; they are all combinations of these.
        shape: Of the other grid.

    Returns:
        Whether each of them lies within the outermost edges, `(n,)`, and the places `(3, m)` of those that do, moved
        to the outermost centres where they lie beyond.
    """
    k, j, i = np.ix_(*indices_kji)
    along = [row[0] * k + row[1] * j + row[2] * i + start for row, start in zip(matrix, offset, strict=True)]
    places = np.stack([place.ravel() for place in along])
    last = np.array(shape)[:, np.newaxis] - 1
    inside: NDArray[np.bool_] = np.all((places >= -_EDGE) & (places <= last + _EDGE), axis=0)
    return inside, np.clip(places[:, inside], 0, last)


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
    from scipy import ndimage

    values = np.asarray(voxels, np.float32)
    made = np.full(shape, values.min(), np.float32)
    rows, columns = (np.arange(n, dtype=np.float64) for n in shape[1:])
    covered = 0
    for k in range(shape[0]):
        inside, places = places_within(matrix, offset, (np.array([float(k)]), rows, columns), values.shape)
        covered += int(inside.sum())
        if inside.any():
            made[k].reshape(-1)[inside] = ndimage.map_coordinates(values, places, order=1, mode="nearest")
    return made, covered / made.size
