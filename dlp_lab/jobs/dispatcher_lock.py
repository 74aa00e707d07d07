"""The lock that lets one process alone start a workspace's jobs."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from dlp_lab.errors import QueueUnusable
from dlp_lab.jobs.queue_database import file_identity


class DispatcherLock:
    """A lock on a file, given up when its process ends, however it ends. POSIX only, for it is `flock`.

    What the process forks does not hold it: a child that outlives its parent would keep all others from the queue.

    Attributes:
        held: Whether it is held here.

    Raises:
        QueueUnusable: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()
        self.held = False
        _open_locks.add(self)

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise QueueUnusable(
                f"{self._path.name} in the output folder cannot be opened ({error.strerror}); choose another folder"
            ) from error

    def take(self) -> bool:
        """Try to get it, without waiting. Returns whether it is held now."""
        self.held = self._locked(fcntl.LOCK_EX)
        return self.held

    def is_held_by_another(self) -> bool:
        """Whether another process holds it now. Who asks at the same moment is not taken for one that does."""
        return not self._locked(fcntl.LOCK_SH)

    def _locked(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give_up(self) -> None:
        """Let another process have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.held = False

    def is_in_place(self) -> bool:
        """Whether the locked file is the one at the path, and so the one that other processes lock."""
        status = os.fstat(self._descriptor)
        return file_identity(self._path) == (status.st_dev, status.st_ino)

    def reopen(self) -> None:
        """Give it up, and go on with the file that is at the path now, made anew if there is none."""
        descriptor = self._opened()
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.held = False

    def close(self) -> None:
        """Give it up for good."""
        _open_locks.discard(self)
        os.close(self._descriptor)
        self.held = False

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the file that parent and child have open together."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self._descriptor, inheritable=False)
        os.close(nothing)
        self.held = False


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now."""
    lock = DispatcherLock(path)
    try:
        return lock.is_held_by_another()
    finally:
        lock.close()


_open_locks: weakref.WeakSet[DispatcherLock] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for lock in list(_open_locks):
        lock.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
