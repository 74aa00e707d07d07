"""A volume's HDF5 file that is written while its slabs pass, for the memory does not hold all of them.

Slabs are hashed by one thread and written by another, while the next ones are computed or written elsewhere. Their
memory may be used again after `SlabFile.settle`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import Geometry
from dlp_lab.processors import threads_to_use
from dlp_lab.store.hdf5 import write_description, write_meaning, write_origin
from dlp_lab.store.hdf5_file import published_hdf5
from dlp_lab.store.hdf5_headers import StoredHeaders
from dlp_lab.volume import Volume

_IMAGE = "image"
_SLICES_AT_ONCE = 16


class SlabFile:
    """The file of `slab_file`, of which `finish` must be the last that is called.

    Args:
        file: Has nothing yet but its description.
        data: The group of the voxels.
        shape: Of the whole volume.
        dtype: Of the voxels; it becomes wider where slices need it.
        unit: Of the values.
        hashing, writing: A thread for each of the two.
    """

    def __init__(
        self,
        file: h5py.File,
        data: h5py.Group,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        unit: str | None,
        hashing: ThreadPoolExecutor,
        writing: ThreadPoolExecutor,
    ) -> None:
        self._file = file
        self._data = data
        self._shape = shape
        self._unit = unit
        self._hashing = hashing
        self._writing = writing
        self._pending: list[Future[None]] = []
        self._image = self._create(_IMAGE, dtype)
        self.restart()

    def restart(self) -> None:
        """All slices will come again, from the first."""
        self._written = 0
        self._digest = hashlib.sha256()

    def add(self, first: int, slices: NDArray[Any]) -> None:
        """Write `(n, rows, columns)` slices from `first` on; those that were written already are left out.

        They must not change until `settle` returns.
        """
        new = slices[max(0, self._written - first) :]
        if first > self._written:
            raise ValueError(f"slices {self._written} to {first - 1} are missing")
        if len(new) == 0:
            return
        if new.dtype != self._image.dtype:
            self._widen(np.promote_types(new.dtype, self._image.dtype))
        self._append(new)

    def settle(self) -> None:
        """Wait until all that came was hashed and written."""
        for one in self._pending:
            one.result()
        self._pending.clear()

    def finish(self, sop_instance_uids: Sequence[str], headers: StoredHeaders) -> None:
        """Write what stands behind the voxels.

        Raises:
            ValueError: Slices are missing.
        """
        if self._written != self._shape[0]:
            raise ValueError(f"{self._written} slices of {self._shape[0]} were written")
        self.settle()
        self._image.attrs["sha256"] = self._digest.hexdigest()
        write_meaning(self._image, self._unit)
        write_origin(self._file, sop_instance_uids, headers)

    def _create(self, name: str, dtype: np.dtype[Any]) -> h5py.Dataset:
        return self._data.create_dataset(name, self._shape, dtype, fill_time="never")

    def _append(self, slices: NDArray[Any]) -> None:
        values = np.ascontiguousarray(slices, self._image.dtype)
        end = self._written + len(values)
        self._pending += [
            self._hashing.submit(self._digest.update, values.data),
            self._writing.submit(self._image.write_direct, values, dest_sel=np.s_[self._written : end]),
        ]
        self._written = end
        if threads_to_use() == 1:
            self.settle()

    def _widen(self, dtype: np.dtype[Any]) -> None:
        """Store what was written so far in a wider type."""
        self.settle()
        narrow, count = self._image, self._written
        self._data.move(_IMAGE, "narrow")
        self._image = self._create(_IMAGE, dtype)
        self.restart()
        for start in range(0, count, _SLICES_AT_ONCE):
            self._append(narrow[start : min(start + _SLICES_AT_ONCE, count)])
            self.settle()  # or all of it would be waiting in memory
        del self._data["narrow"]


@contextmanager
def slab_file(path: Path, part: Volume, geometry: Geometry, *, has_frames: bool) -> Iterator[SlabFile]:
    """A new file of a volume with headers; what is in it at the end is what `write_hdf5` would have written.

    It is the same to the last byte, unless the voxels became wider on the way.

    Args:
        path: New file, which is there when the context is left without an error.
        part: Tells what is the same in all parts, and the type of the voxels as far as it is known.
        geometry: Of the whole.
        has_frames: Whether the headers are of multi-frame images.

    Raises:
        OutputExists: `path` exists.
        OSError: What the system refused to write, as on a full disk.
    """
    with published_hdf5(path) as file:
        data = write_description(file, part, geometry, has_headers=True, is_plain=not has_frames)
        # the threads end before the file is closed, also where something failed
        with ThreadPoolExecutor(1) as hashing, ThreadPoolExecutor(1) as writing:
            writer = SlabFile(file, data, geometry.shape, part.voxels.dtype, part.unit, hashing, writing)
            del part  # or its voxels would stay in memory until the last slab has come
            yield writer
