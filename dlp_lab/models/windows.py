"""Overlapping windows of one size, blended into blocks.

A window's weights are products of weights along the axes, and so are the sums of all windows' weights. So they are
divided by their sum along the axes, once for a few hundred numbers, and what is added up needs no division any more.
Only where products have a least value, which makes them products no more, their sums are held and divided by too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dlp_lab.large_arrays import are_in_files, volume_zeros
from dlp_lab.models.description import Windows
from dlp_lab.models.tiling import Block, FloatVolume, RunNetwork, Shape, box
from dlp_lab.processors import in_parts

_VALUES_AT_ONCE = 2**15
"""Values that are weighted and added in one step: few enough to stay in a core's own cache on the way."""

_LEAST = 1e-30
"""Of a weight: none is 0, for somewhere it may be the only one."""


@dataclass(frozen=True, eq=False)
class WindowAxis:
    """The windows along one axis.

    Attributes:
        size: Of each.
        starts: First voxel of each.
        weight: Of the voxels of any window, at most 1.
        shares: For each window its weights over the sum of all windows' weights: they add up to 1 at every voxel.
    """

    size: int
    starts: tuple[int, ...]
    weight: NDArray[np.float32]
    shares: tuple[NDArray[np.float32], ...]

    @classmethod
    def over(cls, length: int, size: int, windows: Windows) -> WindowAxis:
        """Windows of `size` over an axis of `length`, overlapping by at least the share asked for."""
        last = length - size
        if windows.spread == "even":
            count = math.ceil(last / max(1.0, size * (1 - windows.overlap))) + 1
            starts = [round(last / max(1, count - 1) * number) for number in range(count)]
        else:
            step = max(1, int(size * (1 - windows.overlap)))
            starts = [min(number * step, last) for number in range(math.ceil(last / step) + 1)]
        weight = np.ones(size)
        if windows.blend == "gaussian":
            middle = (size - 1) / 2 if windows.peak == "middle" else size // 2
            weight = np.exp(-0.5 * ((np.arange(size) - middle) / (windows.sigma_scale * size)) ** 2)
            weight = np.maximum(weight, _LEAST)
        total = np.zeros(length)
        for start in starts:
            total[start : start + size] += weight
        shares = tuple((weight / total[start : start + size]).astype(np.float32) for start in starts)
        return cls(size, tuple(starts), weight.astype(np.float32), shares)

    def reaching(self, first: int, end: int) -> WindowAxis:
        """Only the windows that reach into the voxels from `first` up to `end`."""
        found = [n for n, start in enumerate(self.starts) if start < end and start + self.size > first]
        return replace(self, starts=tuple(self.starts[n] for n in found), shares=tuple(self.shares[n] for n in found))


def rows_at_once(shape: Shape, patch: Shape, channels: int, memory_bytes: int) -> int:
    """How many rows (the second axis) are blended at once, so that the sums take no more than `memory_bytes`.

    All of them where they fit, or lie in a file. Otherwise windows that reach over the border of two parts are run
    twice.
    """
    if are_in_files():
        return shape[1]
    of_a_row = channels * (patch[0] + 1) * shape[2] * 4
    fitting = max(patch[1] // 2, memory_bytes // of_a_row - 1)
    return shape[1] if fitting >= shape[1] else math.ceil(shape[1] / math.ceil(shape[1] / fitting))


def window_count(axes: Sequence[WindowAxis], shape: Shape, rows: int) -> int:
    """How many windows are run, those at the border of two parts twice."""
    parts = range(0, shape[1], rows)
    return len(axes[0].starts) * len(axes[2].starts) * sum(len(axes[1].reaching(y, y + rows + 1).starts) for y in parts)


def window_blocks(
    image: FloatVolume,
    axes: Sequence[WindowAxis],
    channels: int,
    rows: int,
    run: RunNetwork,
    least_weight: float = 0.0,
) -> Iterator[Block]:
    """Run a network window by window and blend; sums are held for one window's depth of the volume at a time.

    A block is a view of the sums: it must be done with before the next one is asked for.

    Args:
        image: `(channels, a, b, c)`, at least as large as a window.
        axes: The windows along each axis.
        channels: Of the network's result.
        rows: See `rows_at_once`.
        run: Runs the network on one window.
        least_weight: Of a voxel in a window, whose greatest weight is 1.
    """
    _, _, height, width = image.shape
    # one array for all parts, for whoever has the last block still holds it when the next part begins
    shape = axes[0].size + 1, min(rows + 1, height), width
    values = volume_zeros((channels, *shape), np.float32)
    weights = volume_zeros(shape, np.float32) if least_weight else np.empty((shape[0], 0, 0), np.float32)
    for first_row in range(0, height, rows):
        end_row = min(height, first_row + rows)
        last_row = min(height, end_row + 1)
        reaching = axes[0], axes[1].reaching(first_row, last_row), axes[2]
        here = last_row - first_row
        sums = _Sums(values[:, :, :here], weights[:, :here], first_row, least_weight)
        if first_row:
            sums.clear()
        for block in _blended(image, reaching, sums, run):
            start, low, high = block.start, list(block.owned_from), list(block.owned_to)
            low[1] = first_row if first_row else -math.inf
            high[1] = end_row if end_row < height else math.inf
            yield Block(block.scores, start, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _blended(image: FloatVolume, axes: Sequence[WindowAxis], sums: _Sums, run: RunNetwork) -> Iterator[Block]:
    """Blocks of all columns and of the rows that the sums are for."""
    scores: FloatVolume | None = None
    size = [axis.size for axis in axes]
    window = np.empty((len(image), *size), np.float32)
    ends = [*axes[0].starts[1:], image.shape[1]]
    for number, (start, end) in enumerate(zip(axes[0].starts, ends, strict=True)):
        for row, column in itertools.product(range(len(axes[1].starts)), range(len(axes[2].starts))):
            first = (start, axes[1].starts[row], axes[2].starts[column])
            window[...] = image[(slice(None), *box(first, np.add(first, size)))]
            scores = run(window, scores)
            sums.add(scores, axes, (number, row, column))
        kept = 0 if number else 1
        done = end - start
        yield Block(
            sums.finished(kept, done + 1),
            (start - 1 + kept, sums.first_row, 0),
            (start - 1 if number else -math.inf, -math.inf, -math.inf),
            (math.inf if end == image.shape[1] else end - 1, math.inf, math.inf),
        )
        sums.move_on(done)


@dataclass(frozen=True, eq=False)
class _Sums:
    """What the windows at one depth add up to. Plane 0 is the last one of the block before.

    Attributes:
        values: `(channels, planes, rows, columns)` weighted results.
        weights: `(planes, rows, columns)`, looked at only where there is a least weight.
        first_row: Of the volume.
    """

    values: FloatVolume
    weights: FloatVolume
    first_row: int
    least_weight: float

    def add(self, scores: FloatVolume, axes: Sequence[WindowAxis], window: tuple[int, int, int]) -> None:
        """Add the weighted result for a window, which is told by its number along each axis."""
        if self.least_weight:
            deep, down, along = (axis.weight for axis in axes)
        else:
            deep, down, along = (axis.shares[number] for axis, number in zip(axes, window, strict=True))
        row, column = axes[1].starts[window[1]] - self.first_row, axes[2].starts[window[2]]
        low, high = max(0, row), min(self.values.shape[2], row + len(down))
        rows = slice(low - row, high - row)
        target = (slice(1, None), slice(low, high), slice(column, column + len(along)))
        scores, totals, weights = scores[:, :, rows], self.values[(slice(None), *target)], self.weights[target]
        across = down[rows, np.newaxis] * along
        at_once = max(1, _VALUES_AT_ONCE // across.size)

        def add(first_plane: int, end_plane: int) -> None:
            weight = np.empty((at_once, *across.shape), np.float32)
            weighted = np.empty_like(weight)
            for first in range(first_plane, end_plane, at_once):
                planes = slice(first, min(end_plane, first + at_once))
                count = planes.stop - first
                np.multiply(across, deep[planes, np.newaxis, np.newaxis], out=weight[:count])
                if self.least_weight:
                    np.maximum(weight, self.least_weight, out=weight)
                    weights[planes] += weight[:count]
                for channel, total in zip(scores, totals, strict=True):
                    np.multiply(channel[planes], weight[:count], out=weighted[:count])
                    total[planes] += weighted[:count]

        in_parts(add, len(deep))

    def finished(self, first: int, end: int) -> FloatVolume:
        """The means in these planes, which no other window reaches."""
        values, weights = self.values[:, first:end], self.weights[first:end]
        if self.least_weight:

            def divide(first_plane: int, end_plane: int) -> None:
                for plane in range(first_plane, end_plane):
                    values[:, plane] /= weights[plane]
                    weights[plane] = 1  # a plane may be asked for again

            in_parts(divide, len(weights))
        return values

    def clear(self) -> None:
        """Begin anew."""
        self.values[...] = 0
        if self.least_weight:
            self.weights[...] = 0

    def move_on(self, planes: int) -> None:
        """Make room for the windows that lie `planes` deeper."""
        left = self.values.shape[1] - planes
        for plane in range(left):
            self.values[:, plane] = self.values[:, plane + planes]
        self.values[:, left:] = 0
        if self.least_weight:
            self.weights[:left] = self.weights[planes:].copy()
            self.weights[left:] = 0
