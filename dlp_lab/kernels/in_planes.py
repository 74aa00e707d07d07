"""Sums within planes in numpy's words, for passes that know lines only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import Floats, whole_blocks

_PLANES_AT_ONCE = 8
"""Through tile and rows: fewer cost Python's time for each, more leave the cache."""
_EXTRA_COLUMNS = 8


class LinePasses(Protocol):
    """Sums of padded lines, `sums[n] = weights @ lines[n : n + taps]`; `lines` stays as it is."""

    def along_rows(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        """Sums along the second axis of `(planes, n + taps - 1, columns)` as `(planes, n, columns)`."""

    def along_columns(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        """Sums along the last axis of `(planes, rows, n + taps - 1)` as `(planes, rows, n)`."""


class InPlanesByLines:
    """`InPlanes` by passes over lines: rows are made float32, summed, continued beyond the edges, and summed again."""

    def __init__(
        self, passes: LinePasses, weights_j: Floats, weights_i: Floats, columns: NDArray[np.intp], rows: int
    ) -> None:
        self._passes, self._weights_j, self._weights_i = passes, weights_j, weights_i
        self._reach_i = reach = len(weights_i) // 2
        self._columns = len(columns) - 2 * reach
        places = np.arange(len(columns))
        is_beyond = columns != places - reach
        self._beyond = list(_copies(places[is_beyond], columns[is_beyond] + reach))
        width = whole_blocks(self._columns) + _EXTRA_COLUMNS
        self._tile = np.zeros((_PLANES_AT_ONCE, rows + len(weights_j) - 1, width), np.float32)
        self._rows = np.zeros((_PLANES_AT_ONCE, rows, width + 2 * reach), np.float32)

    def sum(self, voxels: NDArray[Any], planes: Sequence[int], places: NDArray[np.intp], sums: Floats) -> None:
        for start in range(0, len(planes), _PLANES_AT_ONCE):
            stop = start + _PLANES_AT_ONCE
            self._sum_few(voxels, planes[start:stop], places, sums[start:stop])

    def _sum_few(self, voxels: NDArray[Any], planes: Sequence[int], places: NDArray[np.intp], sums: Floats) -> None:
        _, height, width = sums.shape
        tile, summed = self._tile[: len(planes), : len(places)], self._rows[: len(planes), :height]
        # rows in the order of the volume, as within it, need not be picked one by one
        chosen: Any = slice(places[0], places[-1] + 1) if np.all(np.diff(places) == 1) else places
        for k, plane in enumerate(planes):
            tile[k, :, : self._columns] = voxels[plane, chosen]
        reach = self._reach_i
        self._passes.along_rows(tile[..., :width], self._weights_j, summed[..., reach : reach + width])
        for beyond, within in self._beyond:
            summed[..., beyond] = summed[..., within]
        self._passes.along_columns(summed[..., : width + 2 * reach], self._weights_i, sums)


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
