"""The grid that slices are read onto: their own where it is regular, else one that they are repaired to.

Plain numbers and arrays; `stack.py` says what is irregular, this module what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class Resampling:
    """How n slices that lie unevenly become m slices of a rectangular grid, by linear interpolation.

    Attributes:
        source_depths_mm: `(n,)` places of the slices along their normal, growing.
        depths_mm: `(m,)` places of the resulting slices, evenly spaced, within the source's.
        shifts_ji: `(n, 2)` how many rows and columns each slice lies off the resulting grid's first voxel.
        rows, columns: Size of the resulting slices, which hold all shifted ones.
        actions: What is done, in words for the record.
    """

    source_depths_mm: FloatArray
    depths_mm: FloatArray
    shifts_ji: FloatArray
    rows: int
    columns: int
    actions: tuple[str, ...]

    def neighbours(self, k: int) -> tuple[int, int, float]:
        """The source slices before and after resulting slice `k`, and the weight of the second."""
        after = int(
            np.clip(np.searchsorted(self.source_depths_mm, self.depths_mm[k]), 1, len(self.source_depths_mm) - 1)
        )
        before = after - 1
        gap = self.source_depths_mm[after] - self.source_depths_mm[before]
        weight = (self.depths_mm[k] - self.source_depths_mm[before]) / gap
        return before, after, float(np.clip(weight, 0, 1))

    def nearest(self, k: int) -> int:
        """The source slice nearest to resulting slice `k`."""
        before, after, weight = self.neighbours(k)
        return after if weight > 0.5 else before

    def apply(self, slices: NDArray[Any], background: float) -> NDArray[np.float32]:
        """Resample.

        Args:
            slices: `(n, rows, columns)` values of the source.
            background: Value of voxels that no slice covers.

        Returns:
            `(m, rows, columns)` float32.
        """
        moved = [
            self._moved(np.asarray(values, np.float32), float(down), float(right), background)
            for values, (down, right) in zip(slices, self.shifts_ji, strict=True)
        ]
        result = np.empty((len(self.depths_mm), self.rows, self.columns), np.float32)
        for k in range(len(result)):
            before, after, weight = self.neighbours(k)
            result[k] = moved[before] if weight == 0 else (1 - weight) * moved[before] + weight * moved[after]
        return result

    def _moved(self, values: NDArray[np.float32], down: float, right: float, background: float) -> NDArray[np.float32]:
        from scipy import ndimage

        rows, columns = values.shape
        framed = np.full((self.rows, self.columns), background, np.float32)
        framed[:rows, :columns] = values
        if down == 0 and right == 0:
            return framed
        moved: NDArray[np.float32] = ndimage.shift(framed, (down, right), order=1, mode="constant", cval=background)
        return moved
