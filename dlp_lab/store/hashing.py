"""Hashing beside what else is done with the same bytes, for it takes longer than to read or write them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlp_lab.processors import threads_to_use

_HASHED_LATER = 4
"""Parts that may be waiting for it."""

Part = TypeVar("Part", memoryview, NDArray[Any])


def hashed(parts: Iterable[Part], digest: hashlib._Hash) -> Generator[Part]:
    """The parts, each hashed by a thread as soon as it is there, while the caller is at work with it.

    All are hashed when it has ended; the thread ends with it, or as it is closed.
    """
    with ThreadPoolExecutor(1) as beside:
        pending: deque[Future[None]] = deque()
        for part in parts:
            buffer = part.data if isinstance(part, np.ndarray) else part
            pending.append(beside.submit(digest.update, buffer))
            yield part
            if len(pending) > _HASHED_LATER or threads_to_use() == 1:
                pending.popleft().result()
