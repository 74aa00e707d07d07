"""Memory that a task may write its result to.

Slabs of a volume are computed one after the other, and memory that was never touched costs as much as the work. So the
same memory is offered for each, in the narrowest type that is enough for what becomes of the result.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE_BYTES: Final = 2**24
"""Less is written in the time that it takes to start threads."""


class ResultMemory:
    """Memory for one result after the other: a new one takes the place of the last.

    Args:
        most_slices: So many a result has at most.
        whole_numbers: Whether values rounded half to even are enough, since nothing else is kept of them.
    """

    def __init__(self, most_slices: int, *, whole_numbers: bool) -> None:
        self.whole_numbers = whole_numbers
        self._most_slices = most_slices
        self._bytes = np.empty(0, np.uint8)

    @contextlib.contextmanager
    def offered(self) -> Iterator[None]:
        """Within the block, `result_array` gives of this memory."""
        token = _offered.set(self)
        try:
            yield
        finally:
            _offered.reset(token)

    def array(self, shape: Sequence[int], *, may_be_rounded: bool) -> NDArray[Any]:
        dtype = np.dtype(np.int16 if may_be_rounded and self.whole_numbers else np.float32)
        size = math.prod(shape) * dtype.itemsize
        if len(self._bytes) < size:
            self._bytes = np.empty(0, np.uint8)  # what is too small makes room first
            # pages that no result needs are never touched
            self._bytes = np.empty(max(size, size // shape[0] * self._most_slices), np.uint8)
        array: NDArray[Any] = self._bytes[:size].view(dtype).reshape(shape)
        return array


_offered: ContextVar[ResultMemory | None] = ContextVar("result_memory", default=None)


def result_array(shape: Sequence[int], *, may_be_rounded: bool, threads: int) -> NDArray[Any]:
    """An array for the result of a task, of any content: new, or in memory whose last result is not needed any more.

    Args:
        shape: Of the result, `(k, j, i)`.
        may_be_rounded: Whether the task can round its values half to even, and none of them leaves the range of int16.
        threads: How many the task will write with.

    Returns:
        A float32 array, or one of int16 where the task may round and nothing would be kept of fractions.
    """
    memory = _offered.get()
    if memory is not None:
        return memory.array(shape, may_be_rounded=may_be_rounded)
    return new_array(shape, np.float32, threads)


def new_array(shape: Sequence[int], dtype: DTypeLike, threads: int) -> NDArray[Any]:
    """New memory for several threads to write to; its pages are made by as many, each those of a part of its own.

    Threads that meet in a page that is not there yet, as those do that write parts of the same planes, each fill one
    with zeros, two megabytes of them if pages are large, and all but one are thrown away.
    """
    array: NDArray[Any] = np.empty(shape, dtype)
    if array.nbytes < _LARGE_BYTES:
        return array
    every = array.reshape(-1).view(np.uint8)
    part = -(-every.size // threads)

    def touch(start: int) -> None:
        every[start : start + part : mmap.PAGESIZE] = 0

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(touch, range(0, every.size, part)))
    return array
