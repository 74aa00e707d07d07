"""The one part of an HDF5 file at which the library can loop for ever: the global heap, where texts of any length lie.

A collection (HDF5 file format specification, III.E) is a list of objects, each with its size; it has no checksum, and
the library follows the sizes without end when they are wrong. So the library reads files through `CheckedContent`,
which follows the sizes first. What the library does not ask for is not read.
"""

from __future__ import annotations

import io
import struct

from dlp_lab.errors import Hdf5Error

_SIGNATURE = b"GCOL\x01"
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_MAX_OBJECTS = 2**16
"""An object's index has 16 bits."""


class CheckedContent(io.RawIOBase):
    """An open file as the HDF5 library may see it: no heap in it leads astray.

    Args:
        content: Open for reading; it stays open.
        name: For messages.

    Raises:
        Hdf5Error: From `readinto`; h5py hands it on to whom it reads for.
    """

    def __init__(self, content: io.FileIO, name: str) -> None:
        self._content = content
        self._name = name
        self._followed: set[int] = set()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = self.tell()
        filled = self._content.readinto(buffer) or 0
        # the library takes the whole buffer for the file's; its own drivers put zeros beyond the end as well
        buffer[filled:] = bytes(len(buffer) - filled)
        self._follow_heaps(start, start + filled)
        return len(buffer)

    def _follow_heaps(self, start: int, end: int) -> None:
        # a signature may lie across the border of two reads
        first = max(0, start - len(_SIGNATURE) + 1)
        seen = self._bytes(first, end + len(_SIGNATURE) - 1 - first)
        place = seen.find(_SIGNATURE)
        while place >= 0:
            collection = first + place
            if collection not in self._followed and not self._leads_to_its_end(collection):
                raise Hdf5Error(f"{self._name} is damaged (global heap); make it again")
            self._followed.add(collection)
            place = seen.find(_SIGNATURE, place + 1)

    def _leads_to_its_end(self, start: int) -> bool:
        head = self._bytes(start, _COLLECTION.size)
        if len(head) < _COLLECTION.size:
            return False
        end = start + int(_COLLECTION.unpack(head)[2])
        if end > self._content.seek(0, io.SEEK_END):
            return False
        place = start + _COLLECTION.size
        for _ in range(_MAX_OBJECTS):
            if place + _OBJECT.size > end:
                return place <= end
            index, _, length = _OBJECT.unpack(self._bytes(place, _OBJECT.size))
            if index == 0:  # the free space, which is last and counts its own header
                return place + int(length) == end
            place += _OBJECT.size + (int(length) + 7) // 8 * 8
        return False

    def _bytes(self, start: int, size: int) -> bytes:
        self._content.seek(start)
        return self._content.read(size) or b""
