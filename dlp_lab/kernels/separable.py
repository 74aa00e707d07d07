"""Convolution of a volume along its three axes in one go, so that it is read once and written once.

The rows of a volume are cut into strips, one for each thread at a time. Through a strip goes a window of planes:

    planes of the source  ->  tile: rows as float32, with those beyond the strip's edge
                          ->  rows summed, with columns beyond the edge
                          ->  window: both summed, for the planes within reach of those that come next
                          ->  planes of the result

Tile, rows and window stay in the processor's cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats
from dlp_lab.kernels.edges import EdgeMode
from dlp_lab.kernels.passes import Passes
from dlp_lab.kernels.strip_plan import StripPlan

_ROWS_OF_A_STRIP = 64
_WINDOW_BYTES = 4 * 2**20
"""Of one thread. More would not stay in the cache; a strip has `BLOCK` rows at least, whatever the reach."""


@dataclass(frozen=True)
class Convolution:
    """What is done to a volume.

    Attributes:
        weights_kji: Of an odd number of taps for each axis; a single 1 leaves an axis as it is.
        mode: What lies beyond the edge.
        passes: Who makes the sums.
        beyond: The value beyond the edge, where the mode is a constant.
    """

    weights_kji: tuple[Floats, Floats, Floats]
    mode: EdgeMode
    passes: Passes
    beyond: float = 0.0

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
        plan = self._plan(voxels.shape, threads)
        strips = [
            slice(start, min(start + plan.rows, voxels.shape[1])) for start in range(0, voxels.shape[1], plan.rows)
        ]
        stop = threading.Event()
        kept = threading.local()

        def work(rows: slice) -> None:
            if not hasattr(kept, "strip"):
                kept.strip = self.passes.strip(plan)
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

    def _plan(self, shape: Sequence[int], threads: int) -> StripPlan:
        """Strips of as many rows as fit the cache, and few enough that each thread gets one."""
        planes, rows, columns = shape
        reach = len(self.weights_kji[0]) // 2
        at_once = self.passes.planes_at_once(reach)
        fitting = min(_ROWS_OF_A_STRIP, _WINDOW_BYTES // ((at_once + 2 * reach) * columns * 4), -(-rows // threads))
        height = max(BLOCK, fitting // BLOCK * BLOCK)
        return StripPlan(self.weights_kji, self.mode, (planes, rows, columns), height, at_once, self.beyond)
