"""How much memory reading a series may take."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

_LEAST_BYTES = 4 * 2**30


@contextlib.contextmanager
def limited_memory(declared_bytes: int = 0) -> Iterator[None]:
    """Let this process have no more memory than reading `declared_bytes` of pixels can need: at least 4 GiB.

    Beyond it, allocations fail with a MemoryError, or crash the process within a native decoder; the machine does not
    begin to swap. How much a task needs afterwards is its own affair. Linux only; elsewhere it has no effect.

    Data is limited, not addresses: libraries for graphics cards reserve far more addresses than memory.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = max(_LEAST_BYTES, 8 * declared_bytes + 2 * 2**30)
    limits = [limit for limit in (wanted, before, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
