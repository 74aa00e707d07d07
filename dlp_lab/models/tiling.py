"""How a volume is cut for a network, and how the pieces of its result come back: block by block, each complete.

A block holds the network's values for the part of the volume that it *owns*, and one more plane on the sides where its
neighbours go on, so that whoever interpolates between voxels needs no other block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Tiles, Windows

FloatVolume = NDArray[np.float32]
RunNetwork = Callable[[FloatVolume], FloatVolume]
Shape = tuple[int, int, int]


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


# ---- tiles with a halo -----------------------------------------------------------------------------------------------


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
    """Run a network tile by tile; every value is that of a run on the whole volume."""
    shape = image.shape[1:]
    for start in itertools.product(
        range(0, shape[0], tile[0]), range(0, shape[1], tile[1]), range(0, shape[2], tile[2])
    ):
        stop = [min(n, s + t) for n, s, t in zip(shape, start, tile, strict=True)]
        needed = [min(n, e + 1) for n, e in zip(shape, stop, strict=True)]
        first = [max(0, s - h) for s, h in zip(start, halo, strict=True)]
        last = [min(n, e + h) for n, e, h in zip(shape, needed, halo, strict=True)]
        scores = run(np.ascontiguousarray(image[(slice(None), *_box(first, last))]))
        inner = _box(np.subtract(start, first).tolist(), np.subtract(needed, first).tolist())
        low = [float(s) if s else -math.inf for s in start]
        high = [float(e) if e < n else math.inf for e, n in zip(stop, shape, strict=True)]
        yield Block(scores[(slice(None), *inner)], start, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _box(first: Sequence[int], last: Sequence[int]) -> tuple[slice, slice, slice]:
    return slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2])


# ---- overlapping windows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class WindowAxis:
    """The windows along one axis: where each starts, and its weights, which add up to 1 at every voxel.

    Weights of windows are products of those along the axes, and so are their sums. So dividing by the sum can be done
    here, once for a few hundred numbers, and never for a volume.
    """

    size: int
    starts: tuple[int, ...]
    weights: tuple[NDArray[np.float32], ...]

    @classmethod
    def over(cls, length: int, size: int, windows: Windows) -> WindowAxis:
        """Windows of `size` over an axis of `length`, evenly spread, overlapping by at least the share asked for."""
        step = max(1.0, size * (1 - windows.overlap))
        count = math.ceil((length - size) / step) + 1
        starts = [round(number * (length - size) / max(1, count - 1)) for number in range(count)]
        weight = np.ones(size)
        if windows.blend == "gaussian":
            places = (np.arange(size) - (size - 1) / 2) / (windows.sigma_scale * size)
            weight = np.maximum(np.exp(-0.5 * places**2), 1e-3)
        total = np.zeros(length)
        for start in starts:
            total[start : start + size] += weight
        shares = tuple((weight / total[start : start + size]).astype(np.float32) for start in starts)
        return cls(size, tuple(starts), shares)


def rows_at_once(shape: Shape, patch: Shape, channels: int, memory_bytes: int) -> int:
    """How many rows (the second axis) are blended at once, so that the sums take no more than `memory_bytes`.

    All of them where they fit. Otherwise windows that reach over the border of two parts are run twice.
    """
    of_a_row = channels * (patch[0] + 1) * shape[2] * 4
    fitting = max(patch[1] // 2, memory_bytes // of_a_row - 1)
    return shape[1] if fitting >= shape[1] else math.ceil(shape[1] / math.ceil(shape[1] / fitting))


def window_count(axes: Sequence[WindowAxis], shape: Shape, rows: int) -> int:
    """How many windows are run, those at the border of two parts twice."""
    parts = range(0, shape[1], rows)
    return len(axes[0].starts) * len(axes[2].starts) * sum(len(_reaching(axes[1], y, y + rows + 1)) for y in parts)


def window_blocks(
    image: FloatVolume, axes: Sequence[WindowAxis], channels: int, rows: int, run: RunNetwork
) -> Iterator[Block]:
    """Run a network window by window and blend; sums are held for one window's depth of the volume at a time.

    A block is a view of the sums: it must be done with before the next one is asked for.

    Args:
        image: `(channels, a, b, c)`, at least as large as a window.
        axes: The windows along each axis.
        channels: Of the network's result.
        rows: See `rows_at_once`.
        run: Runs the network on one window.
    """
    for first_row in range(0, image.shape[2], rows):
        end_row = min(image.shape[2], first_row + rows)
        yield from _blended(image, axes, channels, first_row, end_row, run)


def _blended(
    image: FloatVolume, axes: Sequence[WindowAxis], channels: int, first_row: int, end_row: int, run: RunNetwork
) -> Iterator[Block]:
    length, height, width = image.shape[1:]
    depth = axes[0].size
    last_row = min(height, end_row + 1)
    # plane 0 is the last one of the block before
    sums = np.zeros((channels, depth + 1, last_row - first_row, width), np.float32)
    own_rows = float(first_row) if first_row else -math.inf, float(end_row) if end_row < height else math.inf
    for number, start in enumerate(axes[0].starts):
        for row in _reaching(axes[1], first_row, last_row):
            for column in range(len(axes[2].starts)):
                _add_window(image, axes, (number, row, column), first_row, sums, run)
        is_last = number + 1 == len(axes[0].starts)
        done = (length if is_last else axes[0].starts[number + 1]) - start
        is_first = number == 0
        low = -math.inf if is_first else float(start - 1)
        high = math.inf if is_last else float(start + done - 1)
        scores = sums[:, 1 if is_first else 0 : done + 1]
        first_plane = start if is_first else start - 1
        yield Block(scores, (first_plane, first_row, 0), (low, own_rows[0], -math.inf), (high, own_rows[1], math.inf))
        left = depth - done
        for channel in sums:  # one by one, for what overlaps is copied first
            channel[: left + 1] = channel[done:]
            channel[left + 1 :] = 0


def _add_window(
    image: FloatVolume,
    axes: Sequence[WindowAxis],
    window: tuple[int, int, int],
    first_row: int,
    sums: FloatVolume,
    run: RunNetwork,
) -> None:
    start = [axis.starts[number] for axis, number in zip(axes, window, strict=True)]
    stop = [s + axis.size for s, axis in zip(start, axes, strict=True)]
    scores = run(np.ascontiguousarray(image[(slice(None), *_box(start, stop))]))
    deep, down, along = (axis.weights[number] for axis, number in zip(axes, window, strict=True))
    low = max(start[1], first_row)
    high = min(stop[1], first_row + sums.shape[2])
    kept = slice(low - start[1], high - start[1])
    across = down[kept, np.newaxis] * along
    target = sums[:, 1:, low - first_row : high - first_row, start[2] : stop[2]]
    weighted = np.empty(across.shape, np.float32)
    for plane, depth in enumerate(deep):
        weight = across * depth
        for channel in range(len(scores)):
            np.multiply(scores[channel, plane, kept], weight, out=weighted)
            target[channel, plane] += weighted


def _reaching(axis: WindowAxis, first: int, end: int) -> list[int]:
    """Which windows reach into the voxels from `first` up to `end`."""
    return [number for number, start in enumerate(axis.starts) if start < end and start + axis.size > first]
