"""One attempt at a job at a time, whatever became of the server that started the one before."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from dlp_lab.jobs.job_processes import is_stopped

_SECONDS_BETWEEN_TRIES = 0.1


def wait_for_earlier_attempt(lock: int) -> None:
    """Take the lock that an attempt holds while its process lives, so that no two write the same folder.

    The process of a server that is gone ends by itself; one that is stopped (SIGSTOP) cannot, and would go on where it
    stood whenever it is let go. It is made to end.

    The lock is a POSIX one, which a process does not share with what it forks: what a crashed attempt left behind would
    else hold it on. It is lost as soon as this process closes any descriptor of the file.

    Args:
        lock: Descriptor of the open job's log.
    """
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            for pid in _holders(os.fstat(lock)):
                if is_stopped(pid):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _holders(file: os.stat_result) -> Iterator[int]:
    """Processes that hold a lock on a file (Linux)."""
    try:
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return
    for line in locks:
        # 1: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        words = line.split()
        if "POSIX" in words and any(word.endswith(f":{file.st_ino}") for word in words):
            pid = next((int(word) for word in words[3:] if word.isdecimal()), 0)
            if pid > 0 and _has_open(pid, file):
                yield pid


def _has_open(pid: int, file: os.stat_result) -> bool:
    # the number of a file alone may be that of another one, on another disk
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(entry.stat(), file):
                return True
    return False
