"""A plane of one grid in a volume on another: where its voxels lie there, and what the volume has at these places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.kernels.resampling import places_within

_BLOCK_VOXELS = 2**22


class ResampledPlane:
    """The values of a plane, interpolated linearly from slices of the source that come block by block.

    A plane along the source's slices needs two of them; one that crosses them all needs them all, but never at once.

    Args:
        grid: Whose plane it is.
        axis: Along which the plane has one index.
        index: It has.
        source: The grid of the volume that values come from, in the same frame of reference.

    Attributes:
        values: Of the plane as float32, the other two axes in their order; NaN where the source has no voxel.
        blocks: Slices of the source that are needed together, as ranges; each is given to `add`.
    """

    def __init__(self, grid: Geometry, axis: int, index: int, source: Geometry) -> None:
        steps = np.linalg.inv(source.affine_kji_to_lps) @ grid.affine_kji_to_lps
        along = [np.arange(n, dtype=np.float64) for n in grid.shape]
        along[axis] = np.array([float(index)])
        self._inside, self._places = places_within(steps[:3, :3], steps[:3, 3], along, source.shape)
        shape = tuple(n for other, n in enumerate(grid.shape) if other != axis)
        self.values: NDArray[np.float32] = np.full(shape, np.nan, np.float32)
        self._found = np.empty(self._places.shape[1], np.float32)
        self.blocks = self._blocks(source.shape)

    def add(self, block: range, slices: NDArray[Any]) -> None:
        """Interpolate what lies between the slices of a block.

        Args:
            block: One of `blocks`.
            slices: `(len(block), rows, columns)` array.
        """
        from scipy.ndimage import map_coordinates  # loaded by those alone who compare what lies on different grids

        k = self._places[0]
        between = (k >= block.start) & (k <= block.stop - 1)
        places = self._places[:, between]
        places[0] -= block.start
        self._found[between] = map_coordinates(slices, places, np.float32, order=1, mode="nearest")
        if block == self.blocks[-1]:
            self.values.reshape(-1)[self._inside] = self._found

    def _blocks(self, shape: tuple[int, int, int]) -> list[range]:
        if not self._found.size:
            return []
        first, last = int(self._places[0].min()), int(np.ceil(self._places[0].max()))
        count = max(1, _BLOCK_VOXELS // (shape[1] * shape[2]))
        # neighbours have one slice in common, so that each place lies within one of them
        return [range(k, min(k + count, last) + 1) for k in range(first, max(last, first + 1), count)]


def check_same_frame(first: Geometry, second: Geometry) -> None:
    """Refuse to compare what lies in different frames of reference; one that is not known contradicts nothing.

    Raises:
        VolumeError: They differ.
    """
    frames = {first.frame_of_reference_uid, second.frame_of_reference_uid} - {None}
    if len(frames) > 1:
        raise VolumeError(
            "the two volumes have different frames of reference, so it is not known where one lies in the other; "
            "register them and save the second one in the frame of the first, then compare them"
        )
