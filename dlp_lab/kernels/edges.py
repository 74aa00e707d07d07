"""What lies beyond the edge of an array, in scipy's words."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

EdgeMode = Literal["nearest", "reflect", "mirror", "wrap", "constant", "grid-mirror", "grid-wrap", "grid-constant"]

BEYOND: Final = -1
"""Stands for the value that lies beyond the edge, where that is a constant."""

_SYNONYMS: Final[dict[EdgeMode, EdgeMode]] = {
    "grid-mirror": "reflect",
    "grid-wrap": "wrap",
    "grid-constant": "constant",
}


def plain_mode(mode: EdgeMode) -> EdgeMode:
    """The mode without synonyms: for filters, `grid-` makes no difference in scipy, and mirrors on the grid reflect."""
    return _SYNONYMS.get(mode, mode)


def inside(places: NDArray[np.intp], length: int, mode: EdgeMode) -> NDArray[np.intp]:
    """Which element stands for each place on an axis, also where the place lies any distance beyond its ends.

    Args:
        places: Indices, negative or beyond the end.
        length: Of the axis.
        mode: As in `scipy.ndimage`: `abcd` goes on as `dddd` (nearest), `dcba` (reflect, grid-mirror), `cbab` (mirror),
            `abcd` (wrap, grid-wrap) or as a value that is not of the axis (constant, grid-constant), which is told as
            `BEYOND`.
    """
    mode = plain_mode(mode)
    if mode == "constant":
        return np.where((places < 0) | (places >= length), BEYOND, places)
    if mode == "nearest":
        return np.minimum(np.maximum(places, 0), length - 1)
    if mode == "wrap":
        return places % length
    if mode == "reflect":
        within = places % (2 * length)
        return np.minimum(within, 2 * length - 1 - within)
    if length == 1:
        return np.zeros_like(places)
    within = places % (2 * length - 2)
    return np.minimum(within, 2 * length - 2 - within)
