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
from dlp_lab.large_arrays import volume_zeros
from dlp_lab.models.description import Output
from dlp_lab.models.grid import NetworkGrid
from dlp_lab.models.resampling import AxisPlaces, interpolated_plane, values_at
from dlp_lab.models.tiling import Block, box
from dlp_lab.models.winners import FloatVolume, Mask, WinnerChoice, Winners, mixed_cells
from dlp_lab.processors import in_parts

_ROUNDING = 1e-6
"""By how much a place on the network's outer edge may seem to lie beyond it."""

_TIE = 1e-9
"""A place half way between two voxels is nearest to the second, also where rounding has moved it a little."""

_MANY = 1 / 6
"""Share of the places in a plane beyond which it takes less time to interpolate all than to look for some."""


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
        self._of_probabilities = output.back_to_source == "probabilities" and not grid.is_source
        self._choice = WinnerChoice(output)
        self._numbers = [label.number for label in output.labels]
        self.labels: NDArray[Any] = volume_zeros(source_shape, self._choice.dtype)
        self.fractions = volume_zeros((len(self._numbers), *source_shape), np.uint8) if with_fractions else None
        # at a whole voxel's distance nothing is left of values that fade
        self._ends = [
            (first - _reach(before), last + _reach(behind))
            for (first, last), (before, behind) in zip(map(grid.ends, range(3)), grid.reach, strict=True)
        ]
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
        is_between = self._output.kind != "labels" and self._output.back_to_source != "labels"
        is_mixed = mixed_cells(winners) if is_between else None
        paint_plane = self._paint_parallel_plane if self._grid.is_parallel else self._paint_oblique_plane

        def paint(first: int, end: int) -> None:
            for plane in range(first, end):
                paint_plane(plane, block, winners, is_mixed)

        in_parts(paint, self._labels.shape[0])

    def _paint_same_voxels(self, block: Block) -> None:
        """Where the network's voxels are the source's, nothing lies between two."""
        offset = self._grid.offset.astype(np.intp)
        first, end = np.zeros(3, np.intp), np.zeros(3, np.intp)
        for axis in range(3):
            first_voxel, last_voxel = self._grid.ends(axis)
            stop = block.start[axis] + block.scores.shape[axis + 1]
            first[axis] = max(block.start[axis], first_voxel, -offset[axis], block.owned_from[axis])
            end[axis] = min(stop, last_voxel + 1, self._labels.shape[axis] - offset[axis], block.owned_to[axis])
        if (first >= end).any():
            return
        start = np.array(block.start)
        planes, rows, columns = box(first - start, end - start)
        scores = block.scores[:, planes, rows, columns]
        target = box(first + offset, end + offset)
        labels, fractions = self._labels[target], [view[target] for view in self._fractions]

        def paint(first_plane: int, end_plane: int) -> None:
            for plane in range(first_plane, end_plane):
                labels[plane] = self._choice.labels(self._choice.of_channels(scores[:, plane]))
                if fractions:
                    for view, share in zip(fractions, self._shares(scores[:, plane]), strict=True):
                        view[plane] = np.rint(share * 255)

        in_parts(paint, len(labels))

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
            if rows.size:
                values, places[0] = self._interpolated_values(block, places[0])
            if rows.size > _MANY * painted.size:
                axes = [AxisPlaces.of(along, length) for along, length in zip(places, values.shape[1:], strict=True)]
                painted = self._choice.of_channels(interpolated_plane(channel, axes, 0) for channel in values)
            elif rows.size:
                points = np.stack([np.full(rows.shape, places[0]), places[1][rows], places[2][columns]])
                painted[rows, columns] = self._choice.of_channels(values_at(values, points))
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
            if unsure.any():
                values, points[0] = self._interpolated_values(block, points[0])
                painted[unsure] = self._choice.of_channels(values_at(values, points[:, unsure]))
        self._labels[plane][is_owned] = self._choice.labels(painted)

    def _paint_surely(self, plane: int, where: Mask | tuple[slice, slice], block: Block, points: FloatArray) -> None:
        """Paint labels, and how surely, at the voxels `where` of a plane, which lie at `points`, `(3, n)`."""
        values, points[0] = self._interpolated_values(block, points[0])
        found = np.stack(list(values_at(values, points)))
        shape = self._labels[plane][where].shape
        self._labels[plane][where] = self._choice.labels(self._choice.of_channels(found)).reshape(shape)
        for view, share in zip(self._fractions, self._shares(found), strict=True):
            view[plane][where] = np.rint(share * 255).reshape(shape)

    def _interpolated_values(self, block: Block, planes: FloatArray) -> tuple[FloatVolume, FloatArray]:
        """What is interpolated between at these places of a block's first axis, and the places within that.

        Probabilities are made for the few planes that matter, for there may be a hundred channels.
        """
        if not self._of_probabilities:
            return block.scores, planes
        first = int(planes.min())
        return self._probabilities(block.scores[:, first : int(planes.max()) + 2]), planes - first

    def _is_owned(self, at: FloatArray, axis: int, block: Block) -> Mask:
        """Which of the coordinates along an axis of the network's volume the block answers for."""
        held = np.clip(at, *self._grid.ends(axis))
        first, last = self._ends[axis]
        is_owned: Mask = (at >= first) & (at <= last) & (held >= block.owned_from[axis]) & (held < block.owned_to[axis])
        return is_owned

    def _held(self, at: FloatArray, axis: int, block: Block) -> FloatArray:
        """Coordinates held within the image, and counted from the block's first voxel."""
        held: FloatArray = np.clip(at, *self._grid.ends(axis)) - block.start[axis]
        return np.floor(held + (0.5 + _TIE)) if axis == self._nearest_axis else held

    def _shares(self, values: FloatVolume) -> FloatVolume:
        """How surely each label is there, 0 to 1, `(label, ...)`, from what was interpolated."""
        shares = values if self._of_probabilities else self._probabilities(values)
        if self._output.kind == "sigmoid_regions":
            of_channel = self._output.regions_order or tuple(self._numbers)
            return shares[[of_channel.index(number) for number in self._numbers]] + np.float32(0.5)
        return shares[self._numbers]

    def _probabilities(self, scores: FloatVolume) -> FloatVolume:
        """Of each channel, `(channel, ...)`; those of regions less 0.5, so that they too win where above 0."""
        if self._output.kind == "sigmoid_regions":
            return np.asarray(0.5 * np.tanh(0.5 * scores), np.float32)
        powers: FloatVolume = np.exp(scores - scores.max(axis=0))
        powers /= powers.sum(axis=0)
        return powers


def _reach(reach: float) -> float:
    return reach - _ROUNDING if reach == 1 else reach + _ROUNDING


def _looked_up(values: NDArray[Any], places: list[FloatArray]) -> NDArray[Any]:
    """A new plane `(b, c)` of what `values`, `(a, b, c)`, has at one place of the first axis and all of the others."""
    (plane,), rows, columns = (along.astype(np.intp) for along in places)
    return np.take(np.take(values[plane], rows, axis=0), columns, axis=1)
