"""Where a locator says that a model is to look: the box around the largest structure that a coarse look finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.models.cleaning import largest_component
from dlp_lab.models.description import Locator


def box_of(
    scores: NDArray[np.float32], locator: Locator, oriented_shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """The box that the locator's result asks for.

    Args:
        scores: `(channel, a, b, c)` of the locator, channel 0 being the background.
        locator: How the box is made of them.
        oriented_shape: Lengths of the source in the network's order of axes.

    Raises:
        InputUnsuitable: The locator finds nothing.
    """
    found = largest_component(scores.argmax(axis=0) > 0)
    box = []
    for axis, (length, small) in enumerate(zip(oriented_shape, found.shape, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(found.mean(axis=others) > locator.least_share)
        if planes.size == 0:
            raise InputUnsuitable(
                "the model's first look finds nothing of what it is made for; look at the series, or choose another one"
            )
        scale = length / small
        centre = round(float(planes[0] + planes[-1] + 1) / 2 * scale)
        size = round(float(planes[-1] + 1 - planes[0]) * scale * (1 + 2 * locator.margin))
        start = max(0, int(centre - size / 2))
        box.append(slice(start, max(start + 1, min(length, int(centre + size / 2)))))
    return box[0], box[1], box[2]
