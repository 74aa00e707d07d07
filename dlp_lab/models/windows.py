"""Overlapping windows of one size, blended into blocks.

A window's weights are products of weights along the axes, and so are the sums of all windows' weights. So they are
divided by their sum along the axes, once for a few hundred numbers, and what is added up needs no division any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Windows
from dlp_lab.models.processors import in_parts
from dlp_lab.models.tiling import Block, FloatVolume, RunNetwork, Shape, box

_VALUES_AT_ONCE = 2**15
"""Values that are weighted and added in one step: few enough to stay in a core's own cache on the way."""


@dataclass(frozen=True, eq=False)
class WindowAxis:
    """The windows along one axis: where each starts, and its weights, which add up to 1 at every voxel."""

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

    def reaching(self, first: int, end: int) -> WindowAxis:
        """Only the windows that reach into the voxels from `first` up to `end`."""
        found = [n for n, start in enumerate(self.starts) if start < end and start + self.size > first]
        return replace(self, starts=tuple(self.starts[n] for n in found), weights=tuple(self.weights[n] for n in found))


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
    return len(axes[0].starts) * len(axes[2].starts) * sum(len(axes[1].reaching(y, y + rows + 1).starts) for y in parts)


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
    _, _, height, width = image.shape
    for first_row in range(0, height, rows):
        end_row = min(height, first_row + rows)
        last_row = min(height, end_row + 1)
        reaching = axes[0], axes[1].reaching(first_row, last_row), axes[2]
        sums = np.zeros((channels, axes[0].size + 1, last_row - first_row, width), np.float32)
        for block in _blended(image, reaching, first_row, sums, run):
            start, low, high = block.start, list(block.owned_from), list(block.owned_to)
            low[1] = first_row if first_row else -math.inf
            high[1] = end_row if end_row < height else math.inf
            yield Block(block.scores, start, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _blended(
    image: FloatVolume, axes: Sequence[WindowAxis], first_row: int, sums: FloatVolume, run: RunNetwork
) -> Iterator[Block]:
    """Blocks of all columns and of the rows that the sums are for, which begin at `first_row`.

    Plane 0 of the sums is the last one of the block before.
    """
    scores: FloatVolume | None = None
    size = [axis.size for axis in axes]
    window = np.empty((len(image), *size), np.float32)
    ends = [*axes[0].starts[1:], image.shape[1]]
    for start, deep, end in zip(axes[0].starts, axes[0].weights, ends, strict=True):
        for row, down in zip(axes[1].starts, axes[1].weights, strict=True):
            for column, along in zip(axes[2].starts, axes[2].weights, strict=True):
                first = (start, row, column)
                window[...] = image[(slice(None), *box(first, np.add(first, size).tolist()))]
                scores = run(window, scores)
                _add(scores, (deep, down, along), (row - first_row, column), sums)
        done = end - start
        is_first, is_last = start == axes[0].starts[0], end == image.shape[1]
        kept = 1 if is_first else 0
        low, high = -math.inf if is_first else start - 1, math.inf if is_last else end - 1
        first_plane = start - 1 + kept
        yield Block(
            sums[:, kept : done + 1],
            (first_plane, first_row, 0),
            (low, -math.inf, -math.inf),
            (high, math.inf, math.inf),
        )
        left = axes[0].size - done
        for plane in range(left + 1):
            sums[:, plane] = sums[:, plane + done]
        sums[:, left + 1 :] = 0


def _add(
    scores: FloatVolume,
    weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    corner: tuple[int, int],
    sums: FloatVolume,
) -> None:
    """Add the weighted result for a window, whose first row and column have the places `corner` in the sums."""
    deep, down, along = weights
    low, high = max(0, corner[0]), min(sums.shape[2], corner[0] + len(down))
    rows = slice(low - corner[0], high - corner[0])
    scores = scores[:, :, rows]
    target = sums[:, 1:, low:high, corner[1] : corner[1] + len(along)]
    across = down[rows, np.newaxis] * along
    at_once = max(1, _VALUES_AT_ONCE // across.size)

    def add(first_plane: int, end_plane: int) -> None:
        weight = np.empty((at_once, *across.shape), np.float32)
        weighted = np.empty_like(weight)
        for first in range(first_plane, end_plane, at_once):
            planes = slice(first, min(end_plane, first + at_once))
            count = planes.stop - first
            np.multiply(across, deep[planes, np.newaxis, np.newaxis], out=weight[:count])
            for channel, total in zip(scores, target, strict=True):
                np.multiply(channel[planes], weight[:count], out=weighted[:count])
                total[planes] += weighted[:count]

    in_parts(add, len(deep))
