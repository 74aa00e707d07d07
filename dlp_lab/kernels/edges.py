"""What lies beyond the edge of an array, in scipy's words."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

EdgeMode = Literal["nearest", "reflect", "mirror", "wrap"]


def inside(places: NDArray[np.intp], length: int, mode: EdgeMode) -> NDArray[np.intp]:
    """Which element stands for each place on an axis, also where the place lies any distance beyond its ends.

    Args:
        places: Indices, negative or beyond the end.
        length: Of the axis.
        mode: As in `scipy.ndimage`: `abcd` goes on as `dddd` (nearest), `dcba` (reflect), `cbab` (mirror) or `abcd`
            (wrap).
    """
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
