"""What a job can leave in its process that the next one would find there.

Modules, models and compiled kernels are meant to stay. What is looked at costs well below a millisecond: threads that
Python knows, child processes, the current folder, umask, environment, signal handlers and mask, alarms, limits,
priority, open files and memory. Not seen are threads that a native library keeps (its pool, which is to stay warm) and
what a task changes in modules.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from dlp_lab.jobs.job_processes import descendants, end_all

_MORE_FILES = 64
_PR_SET_CHILD_SUBREAPER = 36
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


@dataclass(frozen=True)
class ProcessState:
    """What is the same before and after a job that is clean."""

    folder: str
    umask: int
    environment: dict[str, str]
    signal_handlers: tuple[object, ...]
    blocked_signals: frozenset[int]
    alarm: bool
    limits: tuple[tuple[int, int], ...]
    priority: int
    threads: frozenset[int]

    @classmethod
    def now(cls) -> ProcessState:
        """Of this process."""
        umask = os.umask(0o077)
        os.umask(umask)
        try:
            folder = os.getcwd()
        except FileNotFoundError:
            folder = ""
        return cls(
            folder=folder,
            umask=umask,
            environment=dict(os.environ),
            signal_handlers=tuple(signal.getsignal(number) for number in sorted(signal.valid_signals())),
            blocked_signals=frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            alarm=signal.getitimer(signal.ITIMER_REAL)[0] > 0,
            limits=tuple(resource.getrlimit(limit) for limit in _LIMITS),
            priority=os.getpriority(os.PRIO_PROCESS, 0),
            threads=frozenset(sys._current_frames()),
        )


@dataclass(frozen=True)
class ProcessWatch:
    """Compares a process after a job with what it was when new.

    Attributes:
        state, resident_bytes, open_files: When it was new.
        grown_bytes: How much memory more it may hold.
    """

    state: ProcessState
    resident_bytes: int
    open_files: int
    grown_bytes: int

    @classmethod
    def begun(cls, grown_bytes: int) -> ProcessWatch:
        """Now, when it is new."""
        return cls(ProcessState.now(), _resident_bytes(), _open_files(), grown_bytes)

    def why_to_replace(self) -> str | None:
        """What a job left here that the next one must not find; None if nothing."""
        if has_children():
            return "child processes"
        now = ProcessState.now()
        for field in fields(ProcessState):
            if getattr(now, field.name) != getattr(self.state, field.name):
                return f"another {field.name.replace('_', ' ')}"
        if _open_files() > self.open_files + _MORE_FILES:
            return "open files"
        if _resident_bytes() > self.resident_bytes + self.grown_bytes:
            return "memory"
        return None


def adopt_orphans() -> None:
    """Become the parent of what a child leaves behind, so that `has_children` sees it. Linux only."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether a process that this one started, or adopted, lives; those that ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end_children() -> None:
    """SIGKILL to all children, those of other sessions too, and to those that they leave to us, until none is there.

    Linux only; elsewhere those of the group die with it.
    """
    while has_children() and (children := descendants(os.getpid())):
        end_all(children)


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _open_files() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 0
