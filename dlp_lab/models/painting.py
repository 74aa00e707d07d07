"""From a network's values back to the source's voxels: which label wins at each, and how surely.

Values are interpolated at the centres of the source's voxels before the winner is chosen. Where the same label wins at
all eight of the network's voxels around a place, it wins there too, whatever the weights; so only the voxels near
borders are interpolated, plane by plane and channel by channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import FloatArray
from dlp_lab.models.description import Output
from dlp_lab.models.grid import NetworkGrid
from dlp_lab.models.processors import in_parts
from dlp_lab.models.resampling import AxisPlaces, interpolated_plane, values_at
from dlp_lab.models.tiling import Block
from dlp_lab.models.winners import FloatVolume, Mask, WinnerChoice, Winners, mixed_cells

_EDGE = 0.5 + 1e-6
"""Voxels whose centre lies up to this far beyond the network's outermost centres are within its outermost voxels."""

_MANY = 1 / 6
"""Share of the places in a plane beyond which it takes less time to interpolate all than to look for some."""


class LabelPainter:
    """Collects blocks into labels on the source's grid.

    Args:
        grid: Where the network's voxels lie.
        source_shape: `(k, j, i)` of the result.
        output: What the network's values mean.
        with_fractions: Whether how surely is wanted too.

    Attributes:
        labels: `(k, j, i)` uint8, or uint16 where a number needs it.
        fractions: `(label, k, j, i)` uint8, 255 for certain; None if not wanted.
    """

    def __init__(
        self, grid: NetworkGrid, source_shape: tuple[int, int, int], output: Output, with_fractions: bool = False
    ) -> None:
        self._grid, self._output = grid, output
        self._choice = WinnerChoice(output)
        self._numbers = [label.number for label in output.labels]
        self.labels: NDArray[Any] = np.zeros(source_shape, self._choice.dtype)
        self.fractions = np.zeros((len(self._numbers), *source_shape), np.uint8) if with_fractions else None
        # views, in the network's order of axes
        self._labels = grid.reorientation.view(self.labels)
        self._fractions = [] if self.fractions is None else [grid.reorientation.view(label) for label in self.fractions]
        self._into = np.linalg.inv(grid.matrix)

    def paint(self, block: Block) -> None:
        """Take over the part of the result that `block` owns."""
        if self._grid.is_source:
            self._paint_same_voxels(block)
            return
        winners = self._choice.of_block(block.scores)
        is_between = self._output.kind != "labels" and self._output.back_to_source == "values"
        is_mixed = mixed_cells(winners) if is_between else None
        paint_plane = self._paint_parallel_plane if self._grid.is_parallel else self._paint_oblique_plane

        def paint(first: int, end: int) -> None:
            for plane in range(first, end):
                paint_plane(plane, block, winners, is_mixed)

        in_parts(paint, self._labels.shape[0])

    def _paint_same_voxels(self, block: Block) -> None:
        """Where the network's voxels are the source's, nothing lies between two."""
        ranges = []
        for axis, offset in enumerate(self._grid.offset.astype(int).tolist()):
            start, length = block.start[axis], block.scores.shape[axis + 1]
            first = max(start, -offset, block.owned_from[axis])
            end = min(start + length, self._labels.shape[axis] - offset, block.owned_to[axis])
            ranges.append((int(first), max(int(first), int(end)), start, offset))
        (planes, rows, columns) = ranges
        inner = tuple(slice(first - start, end - start) for first, end, start, _ in (rows, columns))
        outer = tuple(slice(first + offset, end + offset) for first, end, _, offset in (rows, columns))

        def paint(first: int, end: int) -> None:
            for plane in range(planes[0] + first, planes[0] + end):
                scores = block.scores[:, plane - planes[2]][:, inner[0], inner[1]]
                self._labels[(plane + planes[3], *outer)] = self._choice.labels(self._choice.of_channels(scores))
                if self._fractions:
                    for view, share in zip(self._fractions, self._shares(scores), strict=True):
                        view[(plane + planes[3], *outer)] = np.rint(share * 255)

        in_parts(paint, planes[1] - planes[0])

    def _paint_parallel_plane(self, plane: int, block: Block, winners: Winners, is_mixed: Mask | None) -> None:
        """Paint a plane of the source where each axis of places can be looked at by itself."""
        places, where = [], []
        for axis, length in enumerate(self._labels.shape):
            indices = np.array([plane]) if axis == 0 else np.arange(length)
            at = self._into[axis, axis] * (indices - self._grid.offset[axis])
            owned = indices[self._is_owned(at, axis, block)]
            if owned.size == 0:
                return
            where.append(slice(int(owned[0]), int(owned[-1]) + 1))
            places.append(self._held(at[owned - indices[0]], axis, block))
        if self._fractions:
            points = np.stack([along.ravel() for along in np.meshgrid(*places, indexing="ij")])
            self._paint_surely(plane, (where[1], where[2]), block, points)
            return
        painted = _looked_up(winners, [np.floor(along + 0.5) for along in places])
        if is_mixed is not None:
            rows, columns = np.nonzero(_looked_up(is_mixed, [np.floor(along) for along in places]))
            if rows.size > _MANY * painted.size:
                axes = [AxisPlaces.of(along, length) for along, length in zip(places, winners.shape, strict=True)]
                painted = self._choice.of_channels(interpolated_plane(channel, axes, 0) for channel in block.scores)
            elif rows.size:
                points = np.stack([np.full(rows.shape, places[0]), places[1][rows], places[2][columns]])
                painted[rows, columns] = self._choice.of_channels(values_at(block.scores, points))
        self._labels[plane][where[1], where[2]] = self._choice.labels(painted)

    def _paint_oblique_plane(self, plane: int, block: Block, winners: Winners, is_mixed: Mask | None) -> None:
        """Paint a plane of the source that lies in any way in the network's volume."""
        rows = np.arange(self._labels.shape[1], dtype=np.float64)[:, np.newaxis]
        columns = np.arange(self._labels.shape[2], dtype=np.float64)
        first = self._into @ (np.array([plane, 0, 0]) - self._grid.offset)
        is_owned = np.ones(self._labels.shape[1:], bool)
        coordinates = []
        for axis in range(3):
            at = first[axis] + self._into[axis, 1] * rows + self._into[axis, 2] * columns
            is_owned &= self._is_owned(at, axis, block)
            if not is_owned.any():
                return
            coordinates.append(at)
        points = np.stack([self._held(at[is_owned], axis, block) for axis, at in enumerate(coordinates)])
        if self._fractions:
            self._paint_surely(plane, is_owned, block, points)
            return
        painted = winners[tuple(np.floor(points + 0.5).astype(np.intp))]
        if is_mixed is not None:
            unsure = is_mixed[tuple(np.floor(points).astype(np.intp))]
            painted[unsure] = self._choice.of_channels(values_at(block.scores, points[:, unsure]))
        self._labels[plane][is_owned] = self._choice.labels(painted)

    def _paint_surely(self, plane: int, where: Mask | tuple[slice, slice], block: Block, points: FloatArray) -> None:
        """Paint labels, and how surely, at the voxels `where` of a plane, which lie at `points`, `(3, n)`."""
        scores = np.stack(list(values_at(block.scores, points)))
        shape = self._labels[plane][where].shape
        self._labels[plane][where] = self._choice.labels(self._choice.of_channels(scores)).reshape(shape)
        for view, share in zip(self._fractions, self._shares(scores), strict=True):
            view[plane][where] = np.rint(share * 255).reshape(shape)

    def _is_owned(self, at: FloatArray, axis: int, block: Block) -> Mask:
        """Which of the coordinates along an axis of the network's volume the block answers for."""
        last = self._grid.shape[axis] - 1 + _EDGE
        is_owned: Mask = (at >= max(block.owned_from[axis], -_EDGE)) & (at < block.owned_to[axis]) & (at <= last)
        return is_owned

    def _held(self, at: FloatArray, axis: int, block: Block) -> FloatArray:
        """Coordinates held within the network's volume, and counted from the block's first voxel."""
        held: FloatArray = np.clip(at, 0, self._grid.shape[axis] - 1) - block.start[axis]
        return held

    def _shares(self, scores: FloatVolume) -> FloatVolume:
        """How surely each label is there, 0 to 1, `(label, ...)`."""
        if self._output.kind == "sigmoid_regions":
            return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)), np.float32)
        powers = np.exp(scores - scores.max(axis=0))
        return np.asarray(powers[self._numbers] / powers.sum(axis=0), np.float32)


def _looked_up(values: NDArray[Any], places: list[FloatArray]) -> NDArray[Any]:
    """A new plane `(b, c)` of what `values`, `(a, b, c)`, has at one place of the first axis and all of the others."""
    (plane,), rows, columns = (along.astype(np.intp) for along in places)
    return np.take(np.take(values[plane], rows, axis=0), columns, axis=1)
