"""How many threads a run may use: the share of the processors that its process was given."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextlib.contextmanager
def shared_processors(threads: int | None) -> Iterator[None]:
    """Within the block, networks and resampling use this many threads; None for as many as there are processors."""
    token = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(token)


def threads_to_use() -> int:
    """The share of whoever runs this, or as many threads as the process may run on."""
    return _threads.get() or len(os.sched_getaffinity(0))
