"""Convolution of a volume along its three axes in one go, so that it is read once and written once.

The rows of a volume are cut into strips, one for each thread at a time. Through a strip goes a window of planes:

    planes of the source  ->  tile: rows as float32, with those beyond the strip's edge
                          ->  rows summed, with columns beyond the edge
                          ->  window: both summed, for the planes within reach of those that come next
                          ->  planes of the result

Tile, rows and window stay in the processor's cache. What is beyond the volume's edge is put there as it is read, so
that no pass needs to know of edges. Lines are a little longer than a power of two: those of a window would else share
the same few places of the cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats, whole_blocks
from dlp_lab.kernels.edges import EdgeMode, inside
from dlp_lab.kernels.passes import Passes

_ROWS_OF_A_STRIP = 64
_WINDOW_BYTES = 4 * 2**20
"""Of one thread. More would not stay in the cache; a strip has `BLOCK` rows at least, whatever the reach."""
_EXTRA_COLUMNS = 8


@dataclass(frozen=True)
class Convolution:
    """What is done to a volume.

    Attributes:
        weights_kji: Of an odd number of taps for each axis; a single 1 leaves an axis as it is.
        mode: What lies beyond the edge.
        passes: Who makes the sums.
    """

    weights_kji: tuple[Floats, Floats, Floats]
    mode: EdgeMode
    passes: Passes

    @property
    def reach_kji(self) -> tuple[int, int, int]:
        """How far a sum looks to either side, in voxels."""
        k, j, i = (len(weights) // 2 for weights in self.weights_kji)
        return k, j, i

    def apply(
        self, voxels: NDArray[Any], result: NDArray[Any], threads: int, report: Callable[[float, str], None]
    ) -> None:
        """Write the sums over `voxels` into `result`.

        Args:
            voxels: `(k, j, i)` array of any real dtype and any strides; not changed.
            result: `(k, j, i)` array of the same shape, of float32, or of int16 for sums that are rounded; with columns
                beside each other, and no memory that is shared.
            threads: How many to use.
            report: Called by this thread, after each strip; what it raises ends the work.
        """
        height = self._strip_rows(voxels.shape, threads)
        strips = [slice(start, start + height) for start in range(0, voxels.shape[1], height)]
        stop = threading.Event()
        kept = threading.local()

        def work(rows: slice) -> None:
            if not hasattr(kept, "strip"):
                kept.strip = _Strip(self, voxels.shape, height)
            for _ in kept.strip.convolve(voxels, result, rows):
                if stop.is_set():
                    return

        with ThreadPoolExecutor(min(threads, len(strips)), thread_name_prefix="dlp-lab-sums") as pool:
            try:
                for number, future in enumerate(as_completed([pool.submit(work, rows) for rows in strips])):
                    future.result()
                    report((number + 1) / len(strips), "smoothing")
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _strip_rows(self, shape: Sequence[int], threads: int) -> int:
        """How many rows a strip has: what fits the cache, and few enough that each thread gets one."""
        row_bytes = (2 * self.reach_kji[0] + _step(self.reach_kji[0])) * shape[2] * 4
        fitting = min(_ROWS_OF_A_STRIP, _WINDOW_BYTES // row_bytes, -(-shape[1] // threads))
        return max(BLOCK, fitting // BLOCK * BLOCK)


class _Strip:
    """The memory of one thread, and the way of a strip through it.

    `_held` tells which planes of the source the window holds.
    """

    def __init__(self, convolution: Convolution, shape: Sequence[int], height: int) -> None:
        self._convolution = convolution
        self._shape = shape
        reach_k, _, reach_i = convolution.reach_kji
        _, weights_j, weights_i = convolution.weights_kji
        self._step = _step(reach_k)
        columns = inside(np.arange(-reach_i, shape[2] + reach_i), shape[2], convolution.mode)
        self._in_planes = convolution.passes.in_planes(weights_j, weights_i, columns, height)
        # lines a little longer than a power of two: those of neighbouring planes would else share few places of a cache
        lines = height, whole_blocks(shape[2]) + _EXTRA_COLUMNS
        self._window = np.zeros((self._step + 2 * reach_k, *lines), np.float32)
        self._held: list[int] = []

    def convolve(self, voxels: NDArray[Any], result: NDArray[Any], rows: slice) -> Iterator[int]:
        """Convolve the rows of a strip; yields the number of planes that are done, after each few."""
        planes, all_rows, columns = self._shape
        reach_k, reach_j, _ = self._convolution.reach_kji
        mode = self._convolution.mode
        result = result[:, rows]
        height = whole_blocks(result.shape[1])
        places = inside(np.arange(rows.start - reach_j, rows.start + height + reach_j), all_rows, mode)
        wanted = inside(np.arange(-reach_k, planes + reach_k), planes, mode)
        overlap = 2 * reach_k
        self._held = []
        self._fill(voxels, wanted[:overlap], places)
        for k in range(0, planes, self._step):
            count = min(self._step, planes - k)
            self._fill(voxels, wanted[k + overlap : k + overlap + count], places)
            lines = self._window[: overlap + count, : result.shape[1], :columns]
            self._convolution.passes.along_planes(lines, self._convolution.weights_kji[0], result[k : k + count])
            self._move_down(overlap)
            yield k + count

    def _fill(self, voxels: NDArray[Any], wanted: NDArray[np.intp], places: NDArray[np.intp]) -> None:
        """Append planes of the source to the window, summed along rows and columns.

        Beyond the edges planes come again; what the window holds already is copied.

        Args:
            voxels: The source.
            wanted: Which of its planes.
            places: Which of its rows, in order, with those beyond the strip's edge.
        """
        planes = wanted.tolist()
        while planes:
            end = len(self._held)
            if planes[0] in self._held:
                self._window[end] = self._window[self._held.index(planes[0])]
                self._held.append(planes.pop(0))
                continue
            known, count = set(self._held), 0
            while count < len(planes) and planes[count] not in known:
                known.add(planes[count])
                count += 1
            height, width = len(places) - 2 * self._convolution.reach_kji[1], whole_blocks(self._shape[2])
            self._in_planes.sum(voxels, planes[:count], places, self._window[end : end + count, :height, :width])
            self._held += planes[:count]
            del planes[:count]

    def _move_down(self, overlap: int) -> None:
        """Bring the last `overlap` planes of the window to its front."""
        held, step = self._held, len(self._held) - overlap
        for k in range(0, overlap, step):
            count = min(step, overlap - k)
            self._window[k : k + count] = self._window[k + step : k + step + count]
        self._held = held[step:]


def _step(reach: int) -> int:
    """How many planes go through a window at once: as many as it moves down at least, or the moving takes longest."""
    return whole_blocks(max(1, reach))
