"""Convolution of a volume along its three axes in one go, so that it is read once and written once.

The rows of a volume are cut into strips, one for each thread at a time. Through a strip goes a window of planes:

    planes of the source  ->  tile: rows as float32, with those beyond the strip's edge
                          ->  rows summed, with columns beyond the edge
                          ->  window: both summed, for the planes within reach of those that come next
                          ->  planes of the result

Tile, rows and window stay in the processor's cache. Where planes come slab by slab, each strip has a window of its own,
which the next slab finds as this one leaves it: no plane is summed twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats
from dlp_lab.kernels.edges import EdgeMode
from dlp_lab.kernels.passes import Passes
from dlp_lab.kernels.strip_plan import StripPlan, WindowOrder

Report = Callable[[float, str], None]

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

    def apply(self, voxels: NDArray[Any], result: NDArray[Any], threads: int, report: Report) -> None:
        """Write the sums over `voxels` into `result`.

        Args:
            voxels: `(k, j, i)` array of any real dtype and any strides; not changed.
            result: `(k, j, i)` array of the same shape, of float32, or of int16 for sums that are rounded; with columns
                beside each other, and no memory that is shared.
            threads: How many to use.
            report: Called by this thread, after each strip; what it raises ends the work.
        """
        SlabConvolution(self, voxels.shape, threads).take(voxels, result, report)

    def plan(self, shape: Sequence[int], threads: int) -> StripPlan:
        """Strips of as many rows as fit the cache, and few enough that each thread gets one."""
        planes, rows, columns = shape
        reach = len(self.weights_kji[0]) // 2
        at_once = self.passes.planes_at_once(reach)
        fitting = min(_ROWS_OF_A_STRIP, _WINDOW_BYTES // ((at_once + 2 * reach) * columns * 4), -(-rows // threads))
        height = max(BLOCK, fitting // BLOCK * BLOCK)
        return StripPlan(self.weights_kji, self.mode, (planes, rows, columns), height, at_once, self.beyond)


class SlabConvolution:
    """A convolution of a volume whose planes come slab by slab, in order: windows go on from one to the next.

    Slabs of the result end a multiple of `BLOCK` planes after the first, or with the volume; then all bits are those of
    the volume in one slab.

    Args:
        convolution: What is done.
        shape_kji: Of the volume.
        threads: How many to use.
    """

    def __init__(self, convolution: Convolution, shape_kji: Sequence[int], threads: int) -> None:
        plan = convolution.plan(shape_kji, threads)
        self._make_strip = partial(convolution.passes.strip, plan)
        self._order = WindowOrder(plan)
        self._planes, rows = plan.shape_kji[:2]
        self._strips = [slice(start, min(start + plan.rows, rows)) for start in range(0, rows, plan.rows)]
        self._windows: NDArray[np.float32] | None = None
        self._threads = threads

    @property
    def made(self) -> int:
        """So many planes of the result are made."""
        return self._order.made

    def made_with(self, planes: int) -> int:
        """How many planes of the result are made when so many more of the volume come."""
        return self._order.made_with(planes)

    def take(self, voxels: NDArray[Any], result: NDArray[Any], report: Report) -> None:
        """Write the planes of the result that can be made with the next ones of the volume.

        Args:
            voxels, report: As for `Convolution.apply`; the planes are not needed any more afterwards.
            result: As there, with the planes from `made` on to before `made_with(len(voxels))`.

        Raises:
            ValueError: There are none.
        """
        is_whole = len(voxels) == self._planes
        schedule = self._order.take(len(voxels))
        if self._windows is None and not is_whole:
            self._windows = self._make_strip().windows(len(self._strips))
        stop = threading.Event()
        kept = threading.local()

        def work(number: int) -> None:
            if not hasattr(kept, "strip"):
                kept.strip = self._make_strip()
                # where there is one slab no window is needed again, and those of a few threads stay in the cache
                kept.window = kept.strip.windows(1)[0] if is_whole else None
            window = kept.window if self._windows is None else self._windows[number]
            for _ in kept.strip.convolve(voxels, result, self._strips[number], schedule, window):
                if stop.is_set():
                    return

        with ThreadPoolExecutor(min(self._threads, len(self._strips)), thread_name_prefix="dlp-lab-sums") as pool:
            try:
                strips = [pool.submit(work, number) for number in range(len(self._strips))]
                for done, future in enumerate(as_completed(strips), 1):
                    future.result()
                    report(done / len(strips), "smoothing")
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)
