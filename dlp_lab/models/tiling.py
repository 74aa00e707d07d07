"""How a volume is cut for a network, and how the pieces of its result come back: block by block, each complete.

A block holds the network's values for the part of the volume that it *owns*, and one more plane on the sides where its
neighbours go on, so that whoever interpolates between voxels needs no other block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Tiles

FloatVolume = NDArray[np.float32]
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
    """The largest tile, without its halo, whose pass takes no more than `memory_bytes`; never less than the halo.

    The longest side is halved until it fits, so that tiles stay compact and little is computed twice.
    """
    own = list(shape)
    while True:
        voxels = math.prod(min(n, o + 2 * h + 1) for n, o, h in zip(shape, own, tiles.halo, strict=True))
        longest = max(range(3), key=lambda axis: own[axis] / max(1, tiles.halo[axis]))
        if voxels * tiles.bytes_per_voxel <= memory_bytes or own[longest] <= max(8, tiles.halo[longest]):
            return own[0], own[1], own[2]
        own[longest] = math.ceil(own[longest] / 2)


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
        first = [max(0, s - h) for s, h in zip(start, halo, strict=True)]
        last = [min(n, e + h) for n, e, h in zip(shape, needed, halo, strict=True)]
        scores = run(np.ascontiguousarray(image[(slice(None), *box(first, last))]), scores)
        inner = box(np.subtract(start, first).tolist(), np.subtract(needed, first).tolist())
        low = [float(s) if s else -math.inf for s in start]
        high = [float(e) if e < n else math.inf for e, n in zip(stop, shape, strict=True)]
        yield Block(scores[(slice(None), *inner)], start, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def box(first: Sequence[int], last: Sequence[int]) -> tuple[slice, slice, slice]:
    """The voxels from `first` up to, but not including, `last`."""
    return slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2])
