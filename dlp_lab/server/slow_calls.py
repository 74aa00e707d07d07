"""Threads for calls that may take minutes, such as looking through a folder on a slow disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class SlowCalls:
    """Runs slow calls, a few at a time, each in a thread of its own.

    Not in asyncio's threads: there a few of them would hold up all routes, and the end of the server.

    Args:
        at_once: How many calls run at the same time; the others wait.
    """

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` and wait for its answer; the server's end does not wait for it."""
        answer: Future[T] = Future()
        async with self._free:
            call = _Call(answer, lambda: function(*args, **kwargs))
            threading.Thread(target=call, name="dlp-lab-slow-call", daemon=True).start()
            return await asyncio.wrap_future(answer)


class _Call(Generic[T]):
    def __init__(self, answer: Future[T], function: Callable[[], T]) -> None:
        self._answer = answer
        self._function = function

    def __call__(self) -> None:
        if not self._answer.set_running_or_notify_cancel():
            return
        try:
            self._answer.set_result(self._function())
        except BaseException as error:
            self._answer.set_exception(error)
