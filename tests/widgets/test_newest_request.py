"""Work in a thread of which only the newest request matters."""

from __future__ import annotations

import threading

from dlp_lab.widgets.newest_request import NewestRequest, Turn
from tests.patience import PATIENCE_S, wait_until


def test_of_requests_that_come_meanwhile_only_the_newest_is_done() -> None:
    done: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def work(request: int, turn: Turn) -> None:
        began.set()
        go_on.wait(PATIENCE_S)
        done.append(request)

    requests = NewestRequest(work, "dlp-test")
    requests.ask(0)
    began.wait(PATIENCE_S)
    for request in (1, 2, 3):
        requests.ask(request)
    go_on.set()
    wait_until(lambda: 3 in done)
    assert done == [0, 3]


def test_work_learns_that_it_is_stale_when_another_request_comes_and_when_all_is_closed() -> None:
    began: list[int] = []
    ended: list[int] = []

    def work(request: int, turn: Turn) -> None:
        began.append(request)
        turn.pause(60)
        ended.append(request)
        assert turn.is_stale()

    requests = NewestRequest(work, "dlp-test")
    requests.ask(0)
    wait_until(lambda: began == [0])
    requests.ask(1)
    wait_until(lambda: began == [0, 1])
    requests.close()
    wait_until(lambda: ended == [0, 1])
    requests.ask(2)
    wait_until(lambda: "dlp-test" not in {one.name for one in threading.enumerate()})
    assert ended == [0, 1]


def test_there_is_no_thread_where_there_is_no_work_and_work_that_broke_is_not_the_last() -> None:
    done: list[int] = []
    broken: list[object] = []

    def work(request: int, turn: Turn) -> None:
        if request == 0:
            raise RuntimeError("broken")
        done.append(request)

    before, threading.excepthook = threading.excepthook, broken.append
    try:
        requests = NewestRequest(work, "dlp-test")
        requests.ask(0)
        wait_until(lambda: "dlp-test" not in {one.name for one in threading.enumerate()})
        requests.ask(1)
        wait_until(lambda: done == [1])
    finally:
        threading.excepthook = before
    assert len(broken) == 1
    wait_until(lambda: "dlp-test" not in {one.name for one in threading.enumerate()})


def test_a_request_that_came_while_work_broke_is_done() -> None:
    done: list[int] = []
    asked = threading.Event()

    def work(request: int, turn: Turn) -> None:
        if request == 0:
            asked.wait(PATIENCE_S)
            raise RuntimeError("broken")
        done.append(request)

    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        requests = NewestRequest(work, "dlp-test")
        requests.ask(0)
        wait_until(lambda: not requests._waiting)
        requests.ask(1)
        asked.set()
        wait_until(lambda: done == [1])
        wait_until(lambda: "dlp-test" not in {one.name for one in threading.enumerate()})
    finally:
        threading.excepthook = before
