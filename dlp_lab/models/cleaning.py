"""What is done to labels at the end, on the source's voxels: stray parts removed, holes filled.

Masks are looked at plane by plane, for the box around a label may be as large as the volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.large_arrays import volume_array
from dlp_lab.models.description import Output

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)
_BY_FACES = None  # scipy's default
_COUNTED_AT_ONCE = 2**22
"""Voxels: counting makes wider numbers of them."""


def clean(labels: NDArray[Any], output: Output) -> None:
    """Do in place what the output asks for, label by label.

    Args:
        labels: `(k, j, i)` numbers; the box around each label alone is looked at.
        output: Of the package.
    """
    if not (output.largest_component or output.fill_holes):
        return
    for number, box in sorted(_boxes(labels).items()):
        part = labels[box]
        own: Mask = np.equal(part, number, out=volume_array(part.shape, bool))
        if output.largest_component:
            kept = largest_component(own)
            for plane, is_own, is_kept in zip(part, own, kept, strict=True):
                plane[is_own & ~is_kept] = 0
            own = kept
        if output.fill_holes:
            for plane, is_hole in zip(part, _holes(own), strict=True):
                plane[is_hole & (plane == 0)] = number


def _boxes(labels: NDArray[Any]) -> dict[int, Box]:
    """The box around each label, by its number."""
    from scipy import ndimage

    found: dict[int, list[Box]] = {}
    for k, plane in enumerate(labels):  # one by one, for scipy makes wider numbers of them
        for number, box in enumerate(ndimage.find_objects(plane), start=1):
            if box is not None:
                found.setdefault(number, []).append((slice(k, k + 1), box[0], box[1]))
    return {number: _around(boxes) for number, boxes in found.items()}


def _around(boxes: list[Box]) -> Box:
    first, second, third = (
        slice(min(along.start for along in axis), max(along.stop for along in axis))
        for axis in zip(*boxes, strict=True)
    )
    return first, second, third


def largest_component(mask: Mask) -> Mask:
    """The largest connected part; voxels that share a face, an edge or a corner are connected."""
    parts, count = _connected_parts(mask, _ALL_NEIGHBOURS)
    if count < 2:
        return mask
    sizes = np.zeros(count + 1, np.int64)
    at_once = max(1, _COUNTED_AT_ONCE // math.prod(parts.shape[1:]))
    for first in range(0, len(parts), at_once):
        sizes += np.bincount(parts[first : first + at_once].ravel(), minlength=count + 1)
    sizes[0] = 0
    found: Mask = np.equal(parts, sizes.argmax(), out=volume_array(parts.shape, bool))
    return found


def _holes(mask: Mask) -> Iterator[Mask]:
    """What the mask encloses, plane by plane: all that is not reached from outside by way of faces."""
    others, count = _connected_parts(np.logical_not(mask, out=volume_array(mask.shape, bool)), _BY_FACES)
    is_hole = np.ones(count + 1, bool)
    is_hole[0] = False
    for axis in range(3):
        for border in (0, -1):
            is_hole[np.take(others, border, axis)] = False
    for plane in others:
        yield is_hole[plane]


def _connected_parts(mask: Mask, neighbours: Mask | None) -> tuple[NDArray[np.int32], int]:
    """The number of the part that each voxel belongs to, from 1, and how many there are."""
    from scipy import ndimage

    parts: NDArray[np.int32] = volume_array(mask.shape, np.int32)
    return parts, int(ndimage.label(mask, neighbours, output=parts))
