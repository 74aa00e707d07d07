"""Strips in numpy's words, for passes that know lines only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import Floats, whole_blocks
from dlp_lab.kernels.edges import BEYOND
from dlp_lab.kernels.strip_plan import Places, Schedule, StripPlan

_PLANES_AT_ONCE = 8
"""Through tile and rows: fewer cost Python's time for each, more leave the cache."""
_EXTRA_COLUMNS = 8
"""Lines a little longer than a power of two: neighbours would else share the same few places of the cache."""


class LinePasses(Protocol):
    """Sums of padded lines, `sums[n] = weights @ lines[n : n + taps]` along one axis:

    * Arrays are float32, with neighbours along the last axis beside each other; `lines` stays as it is.
    * The number of sums along rows and columns is a multiple of `BLOCK`, and so is that of rows summed along columns.
    * A sum has the same bits in arrays that begin a multiple of `BLOCK` rows or planes elsewhere.
    """

    def along_rows(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        """Sums along the second axis of `(planes, n + taps - 1, columns)` as `(planes, n, columns)`."""

    def along_columns(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        """Sums along the last axis of `(planes, rows, n + taps - 1)` as `(planes, rows, n)`."""

    def along_planes(self, lines: Floats, weights: Floats, sums: NDArray[Any]) -> None:
        """Sums along the first axis of `(n + taps - 1, rows, columns)` as `(n, rows, columns)`, for any `n`."""


class LineStrip:
    """`Strip` by passes over lines: rows are made float32, summed, continued beyond the edges, and summed again."""

    def __init__(self, passes: LinePasses, plan: StripPlan) -> None:
        self._passes, self._plan = passes, plan
        _, reach_j, reach_i = plan.reach_kji
        places = np.arange(len(plan.places_of_columns))
        is_copied = (plan.places_of_columns != places - reach_i) & (plan.places_of_columns != BEYOND)
        self._beyond = list(_copies(places[is_copied], plan.places_of_columns[is_copied] + reach_i))
        # beside the columns, and the same for all that is summed
        self._constant = (slice(reach_i), slice(reach_i + plan.shape_kji[2], None)) if plan.is_constant_beyond else ()
        width = whole_blocks(plan.shape_kji[2]) + _EXTRA_COLUMNS
        self._tile = np.zeros((_PLANES_AT_ONCE, plan.rows + 2 * reach_j, width), np.float32)
        self._rows = np.zeros((_PLANES_AT_ONCE, plan.rows, width + 2 * reach_i), np.float32)
        self._columns = np.zeros((_PLANES_AT_ONCE, plan.rows, width), np.float32)
        self._width = width
        self._within_reach = np.zeros((plan.planes_at_once + 2 * plan.reach_kji[0], plan.rows, width), np.float32)

    def windows(self, count: int) -> Floats:
        windows = np.zeros((count, self._plan.window_slots, self._plan.rows, self._width), np.float32)
        windows[:, self._plan.slots :] = self._plan.beyond
        return windows

    def convolve(
        self, voxels: NDArray[Any], result: NDArray[Any], rows: slice, schedule: Schedule, window: Floats
    ) -> Iterator[None]:
        places, step = self._plan.places_of_rows(rows), self._plan.planes_at_once
        weights, height, columns = self._plan.weights_kji[0], rows.stop - rows.start, voxels.shape[2]
        for k, start, stop in zip(
            range(0, len(result), step), schedule.fill_ends[:-1], schedule.fill_ends[1:], strict=True
        ):
            for first in range(start, stop, _PLANES_AT_ONCE):
                some = slice(first, min(first + _PLANES_AT_ONCE, stop))
                self._sum_in_planes(voxels, schedule.fill_planes[some], places, schedule.fill_slots[some], window)
            sums = result[k : k + step, rows]
            slots = schedule.slots_of_taps[k : k + len(sums) + len(weights) - 1]
            lines = self._within_reach[: len(slots)]
            np.take(window, slots, axis=0, out=lines, mode="clip")  # that only this mode copies without a detour
            self._passes.along_planes(lines[:, :height, :columns], weights, sums)
            yield

    def _sum_in_planes(
        self, voxels: NDArray[Any], planes: Places, places: Places, slots: Places, window: Floats
    ) -> None:
        """Sum some planes along rows and columns into slots of the window."""
        _, weights_j, weights_i = self._plan.weights_kji
        height, width = len(places) - len(weights_j) + 1, whole_blocks(voxels.shape[2])
        reach = len(weights_i) // 2
        tile, summed = self._tile[: len(planes), : len(places)], self._rows[: len(planes), :height]
        is_within = places != BEYOND
        first, last = int(np.argmax(is_within)), len(places) - int(np.argmax(is_within[::-1]))
        tile[:, ~is_within] = self._plan.beyond
        picked = places[first:last]
        # rows in the order of the volume, as within it, need not be picked one by one
        chosen: Any = slice(picked[0], picked[-1] + 1) if np.all(np.diff(picked) == 1) else picked
        for k, plane in enumerate(planes):
            tile[k, first:last, : voxels.shape[2]] = voxels[plane, chosen]
        self._passes.along_rows(tile[..., :width], weights_j, summed[..., reach : reach + width])
        for beyond, within in self._beyond:
            summed[..., beyond] = summed[..., within]
        for beyond in self._constant:
            summed[..., beyond] = self._plan.beyond
        sums = self._columns[: len(planes), :height, :width]
        self._passes.along_columns(summed[..., : width + 2 * reach], weights_i, sums)
        window[slots, :height, :width] = sums


def _copies(to: NDArray[np.intp], of: NDArray[np.intp]) -> Iterator[tuple[slice, slice]]:
    """Slices that copy elements `of` a line `to` others: far fewer than elements, for they lie side by side."""
    start = 0
    while start < len(to):
        steps = np.diff(of[start:], append=of[-1] + 2)  # no copy goes on beyond the end
        step = int(steps[0]) if abs(steps[0]) < 2 else 0
        follow = (steps == step) & (np.diff(to[start:], append=to[-1] + 1) == 1)
        count = int(np.argmin(follow)) + 1
        first = int(of[start])
        last = first + step * (count - 1)
        # a slice that ends before the first element has no end; a single element is repeated
        within = slice(first, last - 1 if last else None, -1) if step < 0 else slice(first, last + 1)
        yield slice(int(to[start]), int(to[start]) + count), within
        start += count
