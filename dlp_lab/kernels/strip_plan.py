"""What is done with each strip of a volume: rows of it, through all planes, or through those of slab after slab.

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
        """How many planes of the volume the window holds."""
        return min(self.shape_kji[0], self.planes_at_once + 2 * self.reach_kji[0])

    @property
    def window_slots(self) -> int:
        """How many slots the window has: after those of the volume comes that of the constant, if there is one."""
        return self.slots + self.is_constant_beyond

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
    def places_of_planes(self) -> Places:
        """Planes of the volume for all of its own and their neighbours on either side."""
        reach = self.reach_kji[0]
        return self._inside(np.arange(-reach, self.shape_kji[0] + reach), 0)

    def _inside(self, places: NDArray[np.intp], axis: int) -> Places:
        return inside(places, self.shape_kji[axis], self.mode).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order in which planes of a slab go through a window.

    Attributes:
        slots_of_taps: `(planes + taps - 1,)`; plane `k` of the result is summed from slots `k` to `k + taps - 1`.
        fill_planes: Planes of the slab that are summed into the window, in order.
        fill_slots: The slot each goes to.
        fill_ends: `(steps + 1,)`; step `s` begins with fills from `fill_ends[s]` to before `fill_ends[s + 1]`.
    """

    slots_of_taps: Places
    fill_planes: Places
    fill_slots: Places
    fill_ends: Places

    @property
    def steps(self) -> int:
        """How often planes come from the window."""
        return len(self.fill_ends) - 1


class WindowOrder:
    """Which plane is in which slot of a window when; told slab by slab, in order.

    Args:
        plan: Of the volume.

    Attributes:
        taken: So many planes of the volume came.
        made: So many planes of the result are made of them.
    """

    def __init__(self, plan: StripPlan) -> None:
        self._plan = plan
        self._slot_of: dict[int, int] = {}
        self._free = list(range(plan.slots))
        self.taken = 0
        self.made = 0

    def made_with(self, planes: int) -> int:
        """How many planes of the result are made when so many more of the volume come."""
        whole, taken = self._plan.shape_kji[0], self.taken + planes
        return whole if taken == whole else max(self.made, taken - self._plan.reach_kji[0])

    def take(self, planes: int) -> Schedule:
        """The schedule of the planes of the result that can be made when so many more of the volume come.

        Raises:
            ValueError: None can be made yet; or not of these alone, for the ends of the volume are next to each other.
        """
        reach, at_once, taps = self._plan.reach_kji[0], self._plan.planes_at_once, self._plan.places_of_planes
        first, stop = self.made, self.made_with(planes)
        if first == stop or (plain_mode(self._plan.mode) == "wrap" and planes < self._plan.shape_kji[0]):
            raise ValueError(f"of {planes} planes after {self.taken} of the volume no plane of the result can be made")
        slots, fills, ends = np.empty(stop - first + 2 * reach, np.int64), [], [0]
        for k in range(first, stop, at_once):
            needed = taps[k : min(k + at_once, stop) + 2 * reach].tolist()
            for plane in self._slot_of.keys() - set(needed):
                self._free.append(self._slot_of.pop(plane))
            for plane in needed:
                if plane != BEYOND and plane not in self._slot_of:
                    self._slot_of[plane] = self._free.pop()
                    fills.append((plane - self.taken, self._slot_of[plane]))
            slots[k - first : k - first + len(needed)] = [
                self._slot_of.get(plane, self._plan.slots) for plane in needed
            ]
            ends.append(len(fills))
        self.taken, self.made = self.taken + planes, stop
        fill_planes, fill_slots = np.array(fills, np.int64).reshape(-1, 2).T.copy()
        return Schedule(slots, fill_planes, fill_slots, np.array(ends, np.int64))
