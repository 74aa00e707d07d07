"""Files as a parser may read them: within limits, whatever lengths they declare."""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO

from dlp_lab.errors import TooLarge

MAX_HEADER_BYTES = 64 * 2**20
"""A header may hold this much; those of real slices hold some kB, with private elements up to a few MiB."""
MAX_HEADER_READS = 200_000
"""The parser may ask this often, which is twice or so for each element."""

_CHUNK_BYTES = 2**18


class BoundedFile:
    """A file for a parser of headers, which reads what an element declares and seeks where it points to.

    Never more is given than the file has, than `MAX_HEADER_BYTES` altogether, or more often than `MAX_HEADER_READS`.

    Args:
        file: Open for reading; its owner closes it.

    Raises:
        TooLarge: From `read`, when a limit is reached.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        place = file.tell()
        self._size = file.seek(0, os.SEEK_END)
        file.seek(place)
        self._bytes_left = MAX_HEADER_BYTES
        self._reads_left = MAX_HEADER_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or as many as there are."""
        if size < 0:
            raise ValueError("nobody reads a whole file here; pydicom does to inflate it")
        # a buffered file makes room for `size` bytes before it looks how many there are
        if size > 4096:
            size = max(0, min(size, self._size - self.tell()))
        self._bytes_left -= size
        self._reads_left -= 1
        if self._bytes_left < 0 or self._reads_left < 0:
            raise TooLarge(
                f"its header has more than {MAX_HEADER_BYTES >> 20} MiB or {MAX_HEADER_READS // 2} elements before "
                "the pixels"
            )
        return self._file.read(size)


class InflatedFile:
    """The inflated content of a deflated file (PS3.5 A.5), inflated no farther than it is read.

    Args:
        file: Positioned where the deflated data begins.
        limit: How many inflated bytes may be asked for.

    Raises:
        TooLarge: From `read` and `readinto`, when they reach beyond `limit`.
    """

    def __init__(self, file: BinaryIO, limit: int = MAX_HEADER_BYTES) -> None:
        self._file = file
        self._limit = limit
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._inflated = bytearray()
        self._ended = False
        self._position = 0
        self._reads_left = MAX_HEADER_READS

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            raise OSError("the end of inflated data is not known")
        self._position = offset + (self._position if whence == os.SEEK_CUR else 0)
        return self._position

    def read(self, size: int) -> bytes:
        """The next `size` inflated bytes, or as many as there are."""
        self._reads_left -= 1
        if self._reads_left < 0:
            raise TooLarge(f"its header has more than {MAX_HEADER_READS // 2} elements before the pixels")
        end = self._position + size
        self._inflate_to(end)
        data = bytes(self._inflated[self._position : end])
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` with what comes next; how many bytes there were."""
        end = self._position + len(buffer)
        self._inflate_to(end)
        with memoryview(self._inflated) as inflated:
            data = inflated[self._position : end]
            buffer[: len(data)] = data
            self._position += len(data)
            return len(data)

    def _inflate_to(self, end: int) -> None:
        while len(self._inflated) < end and not self._ended:
            room = self._limit - len(self._inflated)
            if room <= 0:
                raise TooLarge(f"its deflated data inflates beyond the {self._limit / 2**20:.0f} MiB that are read")
            compressed = self._inflater.unconsumed_tail or self._file.read(_CHUNK_BYTES)
            inflated = self._inflater.decompress(compressed, min(room, 4 * _CHUNK_BYTES))
            self._inflated += inflated
            self._ended = self._inflater.eof or not (compressed or inflated)
