"""Arrays as large as a volume, which lie in the memory or, where that is too small, in a file.

What lies in a file is mapped: it is used as any other array is, and the system writes parts of it to the disk and drops
them from the memory when the memory is needed. Whoever runs a job says where (`arrays_in_files`), and whoever makes an
array of a volume's size asks here for it.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LEAST_BYTES = 16 * 2**20
"""What is smaller stays in the memory."""

_folder: ContextVar[Path | None] = ContextVar("folder of large arrays", default=None)


@contextlib.contextmanager
def arrays_in_files(folder: Path | None) -> Iterator[None]:
    """Within the block, large arrays lie in files of `folder`; None for the memory, as outside of it.

    The files have no names, so that nobody else can open them, and are gone with the arrays, however the process ends.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def are_in_files() -> bool:
    """Whether arrays that are made now lie in files if they are large, so that what they take is room on a disk."""
    return _folder.get() is not None


def volume_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array of any values, which may be large.

    Raises:
        OSError: The disk has no room for it.
        MemoryError: The memory has none.
    """
    mapped = _mapped(shape, np.dtype(dtype))
    return np.empty(shape, dtype) if mapped is None else mapped


def volume_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """`volume_array`, filled with 0."""
    mapped = _mapped(shape, np.dtype(dtype))
    return np.zeros(shape, dtype) if mapped is None else mapped


def _mapped(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """An array of zeros in a file, if it is to lie in one."""
    folder, size = _folder.get(), math.prod(shape) * dtype.itemsize
    if folder is None or size < _LEAST_BYTES:
        return None
    with tempfile.TemporaryFile(dir=folder) as file:
        # now, for a full disk ends a process that writes to a place of a map that has none
        os.posix_fallocate(file.fileno(), 0, size)
        mapped = mmap.mmap(file.fileno(), size)
    return np.frombuffer(mapped, dtype).reshape(shape)
