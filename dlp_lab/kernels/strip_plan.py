"""What is done with each strip of a volume: rows of it, through all planes.

A strip's planes, summed along rows and columns, go into the slots of a window, which is small enough to stay in the
processor's cache. A few planes at a time are summed from there into the result. What stands beyond the volume's edge is
told by tables, so that nothing is summed or copied for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import Floats, whole_blocks
from dlp_lab.kernels.edges import BEYOND, EdgeMode, inside, plain_mode

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StripPlan:
    """The same for all strips of a volume.

    Attributes:
        weights_kji: For each axis, of an odd number of taps that are the same from either end.
        mode: What lies beyond the edge.
        shape_kji: Of the volume.
        rows: How many a strip has at most, in whole blocks.
        planes_at_once: How many planes of the result come from the window at a time.
        beyond: The value beyond the edge, where the mode is a constant.
    """

    weights_kji: tuple[Floats, Floats, Floats]
    mode: EdgeMode
    shape_kji: tuple[int, int, int]
    rows: int
    planes_at_once: int
    beyond: float = 0.0

    @property
    def is_constant_beyond(self) -> bool:
        """Whether what lies beyond the edge is a value and no voxel; places there are told as `edges.BEYOND`."""
        return plain_mode(self.mode) == "constant"

    @property
    def reach_kji(self) -> tuple[int, int, int]:
        """How far a sum looks to either side, in voxels."""
        k, j, i = (len(weights) // 2 for weights in self.weights_kji)
        return k, j, i

    @property
    def slots(self) -> int:
        """How many planes of the volume the window holds; one of the constant, if there is one, comes after them."""
        return min(self.shape_kji[0], self.planes_at_once + 2 * self.reach_kji[0])

    @property
    def steps(self) -> int:
        """How often planes come from the window."""
        return -(-self.shape_kji[0] // self.planes_at_once)

    def places_of_rows(self, rows: slice) -> Places:
        """Rows of the volume for a strip's, in whole blocks, and their neighbours on either side."""
        reach = self.reach_kji[1]
        stop = rows.start + whole_blocks(rows.stop - rows.start)
        return self._inside(np.arange(rows.start - reach, stop + reach), 1)

    @cached_property
    def places_of_columns(self) -> Places:
        """Columns of the volume for those of a row and their neighbours on either side."""
        reach = self.reach_kji[2]
        return self._inside(np.arange(-reach, self.shape_kji[2] + reach), 2)

    @cached_property
    def schedule(self) -> Schedule:
        """Which plane is in which slot when."""
        planes, reach = self.shape_kji[0], self.reach_kji[0]
        taps = self._inside(np.arange(-reach, planes + reach), 0).tolist()
        slots, fills, ends = np.empty(len(taps), np.int64), [], [0]
        slot_of: dict[int, int] = {}
        free = list(range(self.slots))
        for k in range(0, planes, self.planes_at_once):
            needed = taps[k : k + self.planes_at_once + 2 * reach]
            for plane in slot_of.keys() - set(needed):
                free.append(slot_of.pop(plane))
            for plane in needed:
                if plane != BEYOND and plane not in slot_of:
                    slot_of[plane] = free.pop()
                    fills.append((plane, slot_of[plane]))
            slots[k : k + len(needed)] = [slot_of.get(plane, self.slots) for plane in needed]
            ends.append(len(fills))
        fill_planes, fill_slots = np.array(fills, np.int64).T.copy()
        return Schedule(slots, fill_planes, fill_slots, np.array(ends, np.int64))

    def _inside(self, places: NDArray[np.intp], axis: int) -> Places:
        return inside(places, self.shape_kji[axis], self.mode).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order in which planes of a volume go through a window.

    Attributes:
        slots_of_taps: `(planes + taps - 1,)`; plane `k` of the result is summed from slots `k` to `k + taps - 1`.
        fill_planes: Planes of the volume that are summed into the window, in order.
        fill_slots: The slot each goes to.
        fill_ends: `(steps + 1,)`; step `s` begins with fills from `fill_ends[s]` to before `fill_ends[s + 1]`.
    """

    slots_of_taps: Places
    fill_planes: Places
    fill_slots: Places
    fill_ends: Places
