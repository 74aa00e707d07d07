"""Pieces of bytes that wait until they are written: in the memory while they are few, then in a file without a name.

Nobody else can open that file, and it is gone with the pieces, however the process ends.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path

_MOST_IN_MEMORY = 2**20
_READ_AT_ONCE = 2**18


class WaitingBytes:
    """Pieces of bytes, in the order in which they were added.

    Args:
        folder: Where the file lies, if there is to be one.

    Attributes:
        ends: For each piece, how many bytes there are up to its end.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY, dir=str(folder))  # noqa: SIM115 (see `close`)
        self._is_at_end = True
        self.ends = array("q")

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def size_bytes(self) -> int:
        """Of all pieces."""
        return self.ends[-1] if self.ends else 0

    def append(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            OSError: What the system refused to write, as on a full disk.
        """
        if not self._is_at_end:
            self._file.seek(self.size_bytes)
            self._is_at_end = True
        self._file.write(piece)
        self.ends.append(self.size_bytes + len(piece))

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end` of all pieces, as if they were one."""
        self._is_at_end = False
        self._file.seek(start)
        return self._file.read(end - start)

    def __getitem__(self, number: int) -> bytes:
        return self.read(self.ends[number - 1] if number else 0, self.ends[number])

    def __iter__(self) -> Iterator[bytes]:
        first = 0
        while first < len(self.ends):
            start = self.ends[first - 1] if first else 0
            after = first + 1
            while after < len(self.ends) and self.ends[after] - start <= _READ_AT_ONCE:
                after += 1
            some, place = self.read(start, self.ends[after - 1]), 0
            for end in self.ends[first:after]:
                yield some[place : end - start]
                place = end - start
            first = after

    def close(self) -> None:
        """Forget the pieces."""
        self._file.close()
