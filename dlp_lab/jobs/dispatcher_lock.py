"""The lock that lets one process alone start a workspace's jobs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from dlp_lab.errors import QueueUnusable
from dlp_lab.jobs.queue_database import file_identity


class DispatcherLock:
    """A lock on a file, given up when its process ends, however it ends. POSIX only, for it is `flock`.

    Attributes:
        held: Whether it is held here.

    Raises:
        QueueUnusable: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()
        self.held = False

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise QueueUnusable(
                f"{self._path.name} in the output folder cannot be opened ({error.strerror}); choose another folder"
            ) from error

    def take(self) -> bool:
        """Try to get it, without waiting. Returns whether it is held now."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.held = True
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
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        """Give it up for good."""
        os.close(self._descriptor)
        self.held = False


def is_held(path: Path) -> bool:
    """Whether another process holds the lock now. To find out, it is taken for a moment where nobody does."""
    lock = DispatcherLock(path)
    try:
        return not lock.take()
    finally:
        lock.close()
