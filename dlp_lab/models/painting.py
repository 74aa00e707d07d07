"""From a network's values back to the source's voxels: which label wins at each, and how surely.

Values are interpolated at the centres of the source's voxels before the winner is chosen. Where the same label wins at
all eight of the network's voxels around a place, it wins there too, whatever the weights; so only the voxels near
borders are interpolated, plane by plane and channel by channel.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import FloatArray
from dlp_lab.models.description import Output
from dlp_lab.models.grid import NetworkGrid
from dlp_lab.models.tiling import Block

FloatVolume = NDArray[np.float32]
Mask = NDArray[np.bool_]

_ROUNDING = 1e-6
"""By how much a place on the network's outer edge may seem to lie beyond it."""

_TIE = 1e-9
"""A place half way between two voxels is nearest to the second, also where rounding has moved it a little."""


class LabelPainter:
    """Collects blocks into labels on the source's grid.

    Args:
        grid: Where the network's voxels lie.
        source_shape: `(k, j, i)` of the result.
        output: What the network's values mean.
        with_fractions: Whether how surely is wanted too.
        nearest_axis: Of the network's axes, the one along which nothing is interpolated.

    Attributes:
        labels: `(k, j, i)` uint8, or uint16 where a number needs it.
        fractions: `(label, k, j, i)` uint8, 255 for certain; None if not wanted.
    """

    def __init__(
        self,
        grid: NetworkGrid,
        source_shape: tuple[int, int, int],
        output: Output,
        with_fractions: bool = False,
        nearest_axis: int | None = None,
    ) -> None:
        self._grid, self._output, self._nearest_axis = grid, output, nearest_axis
        self._numbers = [label.number for label in output.labels]
        dtype = np.uint8 if self._numbers[-1] < 256 else np.uint16
        self.labels: NDArray[Any] = np.zeros(source_shape, dtype)
        self.fractions = np.zeros((len(self._numbers), *source_shape), np.uint8) if with_fractions else None
        # at a whole voxel's distance nothing is left of values that fade
        self._ends = [
            (first - _reach(before), last + _reach(behind))
            for (first, last), (before, behind) in zip(map(grid.ends, range(3)), grid.reach, strict=True)
        ]
        # views, in the network's order of axes
        self._labels = grid.reorientation.view(self.labels)
        self._fractions = [] if self.fractions is None else [grid.reorientation.view(label) for label in self.fractions]
        self._of_channel = output.regions_order or tuple(self._numbers)
        # a channel without a label is as good as background
        self._label_of = np.zeros(self._numbers[-1] + 1, dtype)
        self._label_of[self._numbers] = self._numbers
        self._into = np.linalg.inv(grid.matrix)

    def paint(self, block: Block) -> None:
        """Take over the part of the result that `block` owns."""
        winners = self._winners(block.scores)
        is_between = (
            self._output.kind != "labels" and self._output.back_to_source != "labels" and not self._grid.is_source
        )
        is_mixed = _mixed_cells(winners) if is_between else None
        values = block.scores
        if is_between and self._output.back_to_source == "probabilities":
            values = self._probabilities(values)
        channels = [np.ascontiguousarray(channel).ravel() for channel in values]
        rows = np.arange(self._labels.shape[1], dtype=np.float64)[:, np.newaxis]
        columns = np.arange(self._labels.shape[2], dtype=np.float64)
        for plane in range(self._labels.shape[0]):
            place = self._into @ (np.array([plane, 0, 0]) - self._grid.offset)
            at = [place[axis] + self._into[axis, 1] * rows + self._into[axis, 2] * columns for axis in range(3)]
            is_owned = self._owned(at, block)
            if is_owned is None:
                continue
            points = self._local(at, is_owned, block)
            painted = winners[_nearest(points)]
            if self._fractions:
                scores = np.stack(list(_interpolated(channels, points, winners.shape)))
                for view, share in zip(self._fractions, self._shares(scores), strict=True):
                    view[plane][is_owned] = np.rint(share * 255)
                painted = self._winner(scores)
            elif is_mixed is not None:
                unsure = is_mixed[tuple(np.floor(points).astype(np.intp))]
                painted[unsure] = self._winner(_interpolated(channels, points[:, unsure], winners.shape))
            self._labels[plane][is_owned] = self._label_of[painted]

    def _owned(self, at: list[FloatArray], block: Block) -> Mask | None:
        """Which voxels of a plane, at these places of the network's volume, the block answers for; None for none."""
        owned: Mask | None = None
        for axis, coordinates in enumerate(at):
            first, last = self._ends[axis]
            low = max(block.owned_from[axis], first)
            end = block.owned_to[axis]
            if coordinates.min() > last or coordinates.max() < low or coordinates.min() >= end:
                return None
            along = (coordinates >= low) & (coordinates < end) & (coordinates <= last)
            owned = along if owned is None else owned & along
        assert owned is not None
        owned = np.broadcast_to(owned, self._labels.shape[1:])
        return owned if owned.any() else None

    def _local(self, at: list[FloatArray], owned: Mask, block: Block) -> FloatArray:
        """Places `(3, n)` of the owned voxels, counted from the block's first voxel and held within the image."""
        points = np.empty((3, int(owned.sum())))
        for axis, coordinates in enumerate(at):
            held = np.clip(coordinates, *self._grid.ends(axis)) - block.start[axis]
            if axis == self._nearest_axis:
                held = np.floor(held + (0.5 + _TIE))
            points[axis] = np.broadcast_to(held, owned.shape)[owned]
        return points

    def _winners(self, scores: FloatVolume) -> NDArray[np.uint16]:
        """What wins at each of the network's voxels."""
        if self._output.kind == "labels":
            found = np.rint(scores[0])
            return np.where((found > 0) & (found <= self._numbers[-1]), found, 0).astype(np.uint16)
        winners = np.empty(scores.shape[1:], np.uint16)
        for plane in range(scores.shape[1]):
            winners[plane] = self._winner(scores[:, plane])
        return winners

    def _winner(self, channels: Iterable[FloatVolume]) -> NDArray[np.uint16]:
        """What wins at each place, from values that come channel by channel: a channel, or a label of regions."""
        best: FloatVolume | None = None
        winner = np.zeros(0, np.uint16)
        for channel, values in enumerate(channels):
            if best is None:
                best, winner = np.array(values), np.zeros(values.shape, np.uint16)
                if self._output.kind == "softmax":
                    continue
            if self._output.kind == "sigmoid_regions":
                winner[values > 0] = self._of_channel[channel]
                continue
            is_better = values > best
            np.copyto(best, values, where=is_better)
            winner[is_better] = channel
        return winner

    def _probabilities(self, scores: FloatVolume) -> FloatVolume:
        """Of each channel, `(channel, ...)`; those of regions less 0.5, so that they too win where above 0."""
        if self._output.kind == "sigmoid_regions":
            return np.asarray(0.5 * np.tanh(0.5 * scores), np.float32)
        powers: FloatVolume = np.exp(scores - scores.max(axis=0))
        powers /= powers.sum(axis=0)
        return powers

    def _shares(self, values: FloatVolume) -> FloatVolume:
        """How surely each label is there, 0 to 1, `(label, ...)`, from interpolated values."""
        is_probability = self._output.back_to_source == "probabilities" and not self._grid.is_source
        shares = values if is_probability else self._probabilities(values)
        if self._output.kind == "sigmoid_regions":
            return shares[[self._of_channel.index(number) for number in self._numbers]] + np.float32(0.5)
        return shares[self._numbers]


def _reach(reach: float) -> float:
    return reach - _ROUNDING if reach == 1 else reach + _ROUNDING


def _mixed_cells(winners: NDArray[np.uint16]) -> Mask:
    """Whether different labels win at the eight voxels around the places from a voxel to the next ones."""
    is_mixed = np.zeros(winners.shape, bool)
    low = high = winners
    for axis in range(3):
        steps = [slice(None)] * 3
        steps[axis] = slice(1, None)
        shifted = tuple(steps)
        steps[axis] = slice(None, -1)
        kept = tuple(steps)
        lower, higher = low.copy(), high.copy()
        np.minimum(low[kept], low[shifted], out=lower[kept])
        np.maximum(high[kept], high[shifted], out=higher[kept])
        low, high = lower, higher
    np.not_equal(low, high, out=is_mixed)
    return is_mixed


def _nearest(points: FloatArray) -> tuple[NDArray[np.intp], ...]:
    return tuple(np.floor(points + 0.5).astype(np.intp))


def _interpolated(channels: Sequence[FloatVolume], points: FloatArray, shape: tuple[int, ...]) -> Iterator[FloatVolume]:
    """Values of each channel at the points, linear between the eight voxels around each.

    Voxels and weights are the same for all channels, which is why it is done here and not by scipy, channel by channel.

    Args:
        channels: Each of `shape`, flat.
        points: `(3, n)` places within that shape.
    """
    low = np.floor(points).astype(np.intp)
    beyond = (points - low).astype(np.float32)
    corners, weights = [], []
    for corner in itertools.product((0, 1), repeat=3):
        index = np.zeros(points.shape[1], np.intp)
        weight = np.ones(points.shape[1], np.float32)
        for axis, step in enumerate(corner):
            index = index * shape[axis] + np.minimum(low[axis] + step, shape[axis] - 1)
            weight *= beyond[axis] if step else 1 - beyond[axis]
        corners.append(index)
        weights.append(weight)
    for channel in channels:
        made = np.zeros(points.shape[1], np.float32)
        for index, weight in zip(corners, weights, strict=True):
            made += channel[index] * weight
        yield made
