"""Work beside the kernel's loop, of which only the newest request matters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Request = TypeVar("Request")


class Turn:
    """What work is told of requests that came since it began."""

    def __init__(self, condition: threading.Condition, is_stale: Callable[[], bool]) -> None:
        self._condition = condition
        self._is_stale = is_stale

    def is_stale(self) -> bool:
        """Whether nobody waits for this any more: something else is asked for, or all is closed."""
        return self._is_stale()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until it is stale."""
        with self._condition:
            self._condition.wait_for(self._is_stale, seconds)


class NewestRequest(Generic[Request]):
    """Does one thing at a time in a thread; of the requests that came meanwhile only the newest is done next.

    There is a thread only while there is work, so nothing has to be released but what is under way.

    Args:
        work: Does what a request asks for, and gives up when its turn is stale.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[Request, Turn], None], name: str) -> None:
        self._work = work
        self._name = name
        self._condition = threading.Condition()
        self._waiting: list[Request] = []
        self._is_at_work = False
        self._is_closed = False

    def ask(self, request: Request) -> None:
        """Have it done soon; returns at once. Nothing is done after `close`."""
        with self._condition:
            if self._is_closed:
                return
            self._waiting = [request]
            self._condition.notify_all()
            if not self._is_at_work:
                self._is_at_work = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def close(self) -> None:
        """Do nothing more. What is under way becomes stale, and ends by itself."""
        with self._condition:
            self._is_closed = True
            self._waiting = []
            self._condition.notify_all()

    def _run(self) -> None:
        turn = Turn(self._condition, lambda: self._is_closed or bool(self._waiting))
        try:
            while (request := self._next()) is not None:
                self._work(request[0], turn)
        except BaseException:
            with self._condition:
                self._is_at_work = False
                if self._waiting:  # which came meanwhile, and is not to suffer for it
                    self.ask(self._waiting[0])
            raise

    def _next(self) -> tuple[Request] | None:
        with self._condition:
            if not self._waiting:
                self._is_at_work = False
                return None
            return (self._waiting.pop(),)
