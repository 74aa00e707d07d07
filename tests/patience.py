"""How long tests wait for threads, processes, servers and browsers.

What is waited for ends the wait, so a long one costs nothing where all is well. Its bound is the same for all and many
times what a quiet machine takes, for several workers, their servers, jobs and browsers share few processors. That
something is quick is for benchmarks to measure, and for no test to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE_S = 180.0
"""A third of what a test may take at all."""

ENDLESS_S = 100 * PATIENCE_S
"""Of work that only its being stopped may end."""

_LOOK_S = 0.02

T = TypeVar("T")


def wait_until(condition: Callable[[], T], told: Callable[[], object] = str) -> T:
    """The first true answer of `condition`.

    Args:
        condition: Asked again and again.
        told: What is known of the matter, for who reads that it did not come about.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"what was waited for did not come about in {PATIENCE_S:.0f} s; {told()}"
        time.sleep(_LOOK_S)
    return answer


async def until(condition: Callable[[], Awaitable[T] | T]) -> T:
    """The first true answer of `condition`, while the event loop goes on; it may be a coroutine's."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"what was waited for did not come about in {PATIENCE_S:.0f} s"
        await asyncio.sleep(_LOOK_S)
