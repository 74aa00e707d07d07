"""Voxels that lie in a file one after the other: a plane is read by its place, the volume never.

By `pread` and not through a memory map: a file that is cut off while it is mapped would end the server, and touched
pages of a map count as its memory.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import Hdf5Error

_BLOCK_BYTES = 2**20
_KEPT_BYTES = 8 * 2**20
_KEPT_PLANES = 16


class VoxelFile:
    """A volume `(k, j, i)` in a file.

    Args:
        descriptor: Of the file. It is closed with the last reference to this object, so that a plane which is being
            read in a thread never comes from another file.
        dtype: Of the voxels, in their byte order.
        shape: Number of slices, rows and columns.
        offset: Of the first voxel.
    """

    def __init__(self, descriptor: int, dtype: np.dtype[Any], shape: tuple[int, int, int], offset: int = 0) -> None:
        self._descriptor = descriptor
        self._dtype = dtype
        self._shape = shape
        self._offset = offset
        self._kept: tuple[int, NDArray[Any]] | None = None

    def __del__(self) -> None:
        os.close(self._descriptor)

    async def plane_in_thread(self, axis: int, index: int) -> NDArray[Any]:
        """The same as `plane`. When it is cancelled, reading does not go on either."""
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self.plane, axis, index, given_up)
        finally:
            given_up.set()

    def plane(self, axis: int, index: int, given_up: threading.Event | None = None) -> NDArray[Any]:
        """The voxels whose index along `axis` is `index`; the other two axes stay in their order.

        Args:
            axis, index: Which plane.
            given_up: Set when nobody waits for it any more.

        Raises:
            Hdf5Error: The file is shorter than it was.
            CancelledError: It was given up.
        """
        slices, rows, columns = self._shape
        if axis == 0:
            return self._read(index * rows * columns, (rows, columns))
        if axis == 1:
            plane = np.empty((slices, columns), self._dtype)
            for k in range(slices):
                self._fill((k * rows + index) * columns, plane[k])
            return plane
        first, planes = self._neighbours(index, given_up or threading.Event())
        return planes[:, :, index - first]

    def slices(self, first: int, count: int) -> NDArray[Any]:
        """Slices one after the other, `(count, rows, columns)`.

        Raises:
            Hdf5Error: The file is shorter than it was.
        """
        _, rows, columns = self._shape
        return self._read(first * rows * columns, (count, rows, columns))

    def _neighbours(self, index: int, given_up: threading.Event) -> tuple[int, NDArray[Any]]:
        """Planes of axis 2 among which is `index`, and the index of the first.

        One of them needs a look at all of the file, and the others beside it come at no cost: so the last few are kept.
        """
        kept = self._kept
        if kept is not None and kept[0] <= index < kept[0] + kept[1].shape[2]:
            return kept
        slices, rows, columns = self._shape
        affordable = _KEPT_BYTES // (slices * rows * self._dtype.itemsize)
        count = max(1, min(_KEPT_PLANES, affordable))
        first = index - index % count
        planes = np.empty((slices, rows, min(count, columns - first)), self._dtype)
        step = max(1, _BLOCK_BYTES // (rows * columns * self._dtype.itemsize))
        block = np.empty((min(step, slices), rows, columns), self._dtype)
        for k in range(0, slices, step):
            if given_up.is_set():
                raise CancelledError
            part = block[: min(step, slices - k)]
            self._fill(k * rows * columns, part)
            planes[k : k + step] = part[:, :, first : first + count]
        kept = first, planes  # another thread may keep others meanwhile
        self._kept = kept
        return kept

    def _read(self, first: int, shape: tuple[int, ...]) -> NDArray[Any]:
        values = np.empty(shape, self._dtype)
        self._fill(first, values)
        return values

    def _fill(self, first: int, values: NDArray[Any]) -> None:
        offset = self._offset + first * self._dtype.itemsize
        view = values.reshape(-1).view(np.uint8).data
        while view:
            got = os.preadv(self._descriptor, [view], offset)
            if not got:
                raise Hdf5Error("the file ends before its voxels do; was it replaced meanwhile? Open it again")
            view, offset = view[got:], offset + got
