"""New HDF5 files: whole or not there at all, also on a full disk."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from dlp_lab.errors import OutputExists
from dlp_lab.store.workspace import make_private_folder

# from this version of its format on, the library keeps checksums of shapes and types; large arrays lie at whole pages,
# so that a map of them is aligned
_FILE_OPTIONS = {"libver": ("v110", "v110"), "alignment_threshold": 2**20, "alignment_interval": 4096}


@contextmanager
def published_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new file for its owner alone to read, under a hidden name beside `path`; it becomes `path` if all went well.

    Raises:
        OutputExists: `path` exists; nothing is overwritten.
        OSError: What the system refused to write, as on a full disk.
    """
    if path.exists():
        raise OutputExists(f"{path.name} already exists; choose another name, nothing is overwritten")
    make_private_folder(path.parent)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    partial.unlink(missing_ok=True)
    try:
        # the umask is not asked who may read it, and a link of that name is not followed
        opened = os.open(partial, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
    except OSError as error:
        # by the name that was asked for: nobody knows the other
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    try:
        with _ForgivingFile(opened, "r+") as target:
            try:
                with h5py.File(target, "w", **_FILE_OPTIONS) as file:
                    yield file
            finally:
                # also where the library stumbled over what is missing since
                if target.refusal is not None:
                    raise target.refusal
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class _ForgivingFile(io.FileIO):
    """A file for the HDF5 library, which ends the whole process when a disk is full as it closes a file.

    So the library never hears of it: what the system refused first is kept in `refusal`, and nothing is written since.
    """

    refusal: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it; the library does not ask how much was written."""
        left = memoryview(content).cast("B")
        size = len(left)
        while left and self.refusal is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.refusal = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file."""
        if self.refusal is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.refusal = error
        return size or 0
