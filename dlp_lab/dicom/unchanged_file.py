"""A file is read several times: its header, its pixels, its header again for what is derived. All must be of one file.

What another program still writes, or puts in its place meanwhile, would be mixed with what was read before, and nobody
would see it. So each reading ends with a look at whether the file is as it was when its header was read first.

pydicom is not imported here, for processes that only decode.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from dlp_lab.errors import FileChanged


class FileState(NamedTuple):
    """What tells that a file is another one, or has other content; its names, rights and time of access may change.

    Attributes:
        inode: Of the file; another one where it was replaced.
        file_bytes: Its size.
        modified_ns: When it was written last, in nanoseconds, as exactly as its system notes it.
    """

    inode: int
    file_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, descriptor: int) -> FileState:
        """That of an open file."""
        return cls.from_status(os.fstat(descriptor))

    @classmethod
    def from_status(cls, status: os.stat_result) -> FileState:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class FileSeen(Protocol):
    """A file of which something was read before.

    Attributes:
        path: Where it is.
        name: What messages call it.
        state: As it was found.
    """

    @property
    def path(self) -> Path | bytes: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> FileState: ...


@contextlib.contextmanager
def opened_unchanged(seen: FileSeen, buffering: int = -1) -> Iterator[BinaryIO]:
    """A file that is read once more, open for reading.

    Raises:
        FileChanged: At the end, whatever else was raised: the file is not as it was seen.
        OSError: It cannot be opened any more.
    """
    with open(seen.path, "rb", buffering=buffering) as file:
        try:
            yield file
        finally:
            refuse_changed(file.fileno(), seen.state, seen.name)


def refuse_changed(descriptor: int, before: FileState, name: str) -> None:
    """Look whether an open file is as it was.

    Raises:
        FileChanged: It is not; the message says what is different.
    """
    now = FileState.of(descriptor)
    if now == before:
        return
    if now.inode != before.inode:
        what = "another file is in its place"
    elif now.file_bytes != before.file_bytes:
        what = f"it had {before.file_bytes} bytes and has {now.file_bytes}"
    else:
        what = "it was written to"
    raise FileChanged(
        f"{name} changed while it was read ({what}); try again when the program that writes it has finished"
    )
