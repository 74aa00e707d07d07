"""How a volume is cut for a network, and how the pieces of its result come back: block by block, each complete.

A block holds the network's values for the part of the volume that it *owns*, and one more plane on the sides where its
neighbours go on, so that whoever interpolates between voxels needs no other block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Tiles

FloatVolume = NDArray[np.float32]
IntArray = NDArray[np.int_]
Shape = tuple[int, int, int]


class RunNetwork(Protocol):
    """Runs a network on a part of a volume."""

    def __call__(self, image: FloatVolume, into: FloatVolume | None = None) -> FloatVolume:
        """The result for `image`, `(channels, a, b, c)`; it may lie in `into`, an earlier result that is used up."""
        ...


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a network's result.

    Attributes:
        scores: `(channels, a, b, c)`.
        start: Index of its first voxel in the volume.
        owned_from, owned_to: Which places are to be read from it: from the first up to, but not including, the second.
            Infinite where no other block follows.
    """

    scores: FloatVolume
    start: Shape
    owned_from: tuple[float, float, float]
    owned_to: tuple[float, float, float]


def whole_block(scores: FloatVolume) -> Block:
    """The result for a whole volume as one block."""
    return Block(scores, (0, 0, 0), (-math.inf,) * 3, (math.inf,) * 3)


def tile_shape(shape: Shape, tiles: Tiles, memory_bytes: int) -> Shape:
    """The tile, without its halo, with which the fewest voxels are computed in passes of at most `memory_bytes` each.

    Where no tile is small enough it is the smallest, which is about as large as the halo: with less, hardly anything
    but halo would be computed.
    """
    axes = [_divisions(n, halo) for n, halo in zip(shape, tiles.halo, strict=True)]
    voxels_of_pass = _products([division.longest for division in divisions] for divisions in axes)
    voxels_of_all = _products([division.computed for division in divisions] for divisions in axes)
    fits = voxels_of_pass * tiles.bytes_per_voxel <= memory_bytes
    cost = np.where(fits, voxels_of_all, np.inf) if fits.any() else voxels_of_pass
    best = np.unravel_index(int(cost.argmin()), cost.shape)
    own = [divisions[number].own for divisions, number in zip(axes, best, strict=True)]
    return own[0], own[1], own[2]


@dataclass(frozen=True)
class _Division:
    """A way to cut an axis: what each part owns, and how much is computed for the longest part, and for all."""

    own: int
    longest: int
    computed: int


def _divisions(length: int, halo: int) -> list[_Division]:
    """Ways to cut an axis, the fewest parts first."""
    found: list[_Division] = []
    for own in sorted({math.ceil(length / parts) for parts in range(1, length + 1)}, reverse=True):
        if found and own < max(8, halo):
            break
        parts = [_extent(start, own, length, halo) for start in range(0, length, own)]
        lengths = [last - first for first, last in parts]
        found.append(_Division(own, max(lengths), sum(lengths)))
    return found


def _extent(start: int, own: int, length: int, halo: int) -> tuple[int, int]:
    """From where to where the network is run for a part that owns `own` voxels from `start` on, and one beyond."""
    return max(0, start - halo), min(length, min(length, start + own) + 1 + halo)


def _products(along: Iterable[Sequence[int]]) -> NDArray[np.float64]:
    """Of one number for each of three axes, in all combinations."""
    first, second, third = (np.asarray(numbers, float) for numbers in along)
    made: NDArray[np.float64] = first[:, np.newaxis, np.newaxis] * second[:, np.newaxis] * third
    return made


def tile_count(shape: Shape, tile: Shape) -> int:
    """How many tiles cover a volume."""
    return math.prod(math.ceil(n / t) for n, t in zip(shape, tile, strict=True))


def tile_blocks(image: FloatVolume, tile: Shape, halo: Sequence[int], run: RunNetwork) -> Iterator[Block]:
    """Run a network tile by tile; every value is that of a run on the whole volume.

    A block is a view of the network's result: it must be done with before the next one is asked for.
    """
    scores: FloatVolume | None = None
    shape = image.shape[1:]
    for start in itertools.product(
        range(0, shape[0], tile[0]), range(0, shape[1], tile[1]), range(0, shape[2], tile[2])
    ):
        stop = [min(n, s + t) for n, s, t in zip(shape, start, tile, strict=True)]
        needed = [min(n, e + 1) for n, e in zip(shape, stop, strict=True)]
        extents = [_extent(s, t, n, h) for s, t, n, h in zip(start, tile, shape, halo, strict=True)]
        first, last = [extent[0] for extent in extents], [extent[1] for extent in extents]
        scores = run(np.ascontiguousarray(image[(slice(None), *box(first, last))]), scores)
        inner = box(np.subtract(start, first), np.subtract(needed, first))
        low = [float(s) if s else -math.inf for s in start]
        high = [float(e) if e < n else math.inf for e, n in zip(stop, shape, strict=True)]
        yield Block(scores[(slice(None), *inner)], start, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def box(first: Sequence[int] | IntArray, last: Sequence[int] | IntArray) -> tuple[slice, slice, slice]:
    """The voxels from `first` up to, but not including, `last`."""
    low, high = (tuple(int(number) for number in corner) for corner in (first, last))
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])
