"""What is done to labels at the end, on the source's voxels: stray parts removed, holes filled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Output

_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def clean(labels: NDArray[Any], output: Output) -> None:
    """Do in place what the output asks for, label by label.

    Args:
        labels: `(k, j, i)` numbers; the box around each label alone is looked at.
        output: Of the package.
    """
    from scipy import ndimage

    if not (output.largest_component or output.fill_holes):
        return
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        part = labels[box]
        own = part == number
        if output.largest_component:
            kept = largest_component(own)
            part[own & ~kept] = 0
            own = kept
        if output.fill_holes:
            part[ndimage.binary_fill_holes(own) & (part == 0)] = number


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part; voxels that share a face, an edge or a corner are connected."""
    from scipy import ndimage

    parts, count = ndimage.label(mask, _ALL_NEIGHBOURS)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    found: NDArray[np.bool_] = parts == sizes.argmax()
    return found
