"""Waiting for what other threads and processes do."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from dlp_lab.jobs.job import Job
from dlp_lab.jobs.service import JobService
from tests.patience import wait_until


def wait_for_end(service: JobService, uid: str) -> Job:
    """The job's record once it has ended."""
    wait_until(lambda: service.get(uid).ended, told=lambda: f"{service.get(uid)}\n{service.log_part(uid, 0).text}")
    return service.get(uid)


def lock_is_held(path: Path) -> bool:
    """Whether some process holds the lock on the file."""
    if not path.exists():
        return False
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def process_is_gone(pid: int) -> bool:
    """Whether no process of that id computes any more; a zombie that nobody reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def child_processes() -> set[int]:
    """Ids of the processes that this one has started, and that are not gone (Linux)."""
    children: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # the name, in brackets, may hold blanks; state and parent come after it
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == os.getpid() and state != "Z":
                    children.add(int(entry.name))
    return children


def opened_by(pid: int | str = "self") -> dict[int, str]:
    """What a process has open, by its descriptor; what it closes meanwhile may be among it (Linux)."""
    found = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(descriptor.name)] = os.readlink(descriptor)
    return found


def paths_below(folder: Path) -> list[Path]:
    """All that is in a folder, in which others may be at work."""
    return [Path(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files)]
