"""Processes that a job started, found from outside, in whatever session they are. Linux; elsewhere none is found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SECONDS_TO_GO = 1.0


@dataclass(frozen=True)
class FoundProcess:
    """A process, not to be taken for a later one of the same number.

    Attributes:
        pid: Its number.
        started: When it was started, as /proc tells it.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> FoundProcess | None:
        """The process of that number; None if there is none that computes."""
        stat = _stat(pid)
        return None if stat is None or stat[0] in "ZX" else cls(pid, stat[19])

    def is_there(self) -> bool:
        """Whether it is not gone."""
        return FoundProcess.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there and ours."""
        if self.is_there():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def descendants(pid: int) -> set[FoundProcess]:
    """The children of a process, their children and so on."""
    found: set[FoundProcess] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                if process := FoundProcess.of(child):
                    found |= {process, *descendants(child)}
    return found


def who_prints_into(pipe: int) -> set[FoundProcess]:
    """Processes whose standard output or error is the pipe of which `pipe` is a descriptor here.

    A pipe that only a job was given tells what the job started from all else, also when the job's process is gone.
    """
    name = f"pipe:[{os.fstat(pipe).st_ino}]"
    found: set[FoundProcess] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is gone, or another user's
            if name in (os.readlink(folder / "fd/1"), os.readlink(folder / "fd/2")):
                process = FoundProcess.of(int(folder.name))
                found |= {process} if process else set()
    return found


def end_all(processes: Iterable[FoundProcess]) -> None:
    """SIGKILL to all; returns when they are gone, or after a second."""
    deadline = time.monotonic() + _SECONDS_TO_GO
    for process in processes:
        process.signal(signal.SIGKILL)
    while any(process.is_there() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.001)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, and does nothing until it is let go. Answers False where it cannot be told."""
    stat = _stat(pid)
    return stat is not None and stat[0] in "Tt"


def _stat(pid: int) -> list[str] | None:
    """What /proc tells of a process, from its state on; None where there is none."""
    try:
        # the name, in brackets, may hold blanks; the state comes after it
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
