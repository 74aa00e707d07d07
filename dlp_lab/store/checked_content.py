"""The two parts of an HDF5 file at which the library can loop for ever.

A collection of the global heap, where texts of any length lie (HDF5 file format specification, III.E), is a list of
objects, each with its size; a node of a version 1 B-tree (III.A.1) names its sibling to the right. Neither has a
checksum, and the library follows sizes and siblings without end when they are wrong. So the library reads files through
`CheckedContent`, which follows them first. What the library does not ask for is not read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlp_lab.errors import Hdf5Error

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FILE_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP_SIGNATURE = b"GCOL\x01"
_NODE_SIGNATURE = b"TREE"
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_NODE = struct.Struct("<4sBBHQQ")
_MAX_OBJECTS = 2**16
"""An object's index has 16 bits."""


class CheckedContent(io.RawIOBase):
    """An open file as the HDF5 library may see it: no heap and no tree in it leads astray.

    Args:
        content: Open for reading; it stays open.
        name: For messages.

    Raises:
        Hdf5Error: From `readinto`; h5py hands it on to whom it reads for.
    """

    def __init__(self, content: io.FileIO, name: str) -> None:
        self._content = content
        self._name = name
        self._base = 0  # the file's own addresses count from its signature
        self._followed: set[int] = set()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def readinto(self, target: Buffer) -> int:
        buffer = memoryview(target)  # h5py comes with one of Cython's, which equals no bytes
        start = self.tell()
        filled = self._content.readinto(buffer) or 0
        # the library takes the whole buffer for the file's; its own drivers put zeros beyond the end as well
        buffer[filled:] = bytes(len(buffer) - filled)
        if buffer[: len(_FILE_SIGNATURE)] == _FILE_SIGNATURE:
            self._base = start
        self._follow(start, start + filled)
        return len(buffer)

    def _follow(self, start: int, end: int) -> None:
        for collection in self._places(_HEAP_SIGNATURE, start, end):
            if not self._leads_to_its_end(collection):
                raise Hdf5Error(f"{self._name} is damaged (global heap); make it again")
            self._followed.add(collection)
        for node in self._places(_NODE_SIGNATURE, start, end):
            self._follow_siblings(node)

    def _places(self, signature: bytes, start: int, end: int) -> Iterator[int]:
        """Where a signature lies that has not been followed, if only with a part, between two places in the file."""
        first = max(0, start - len(signature) + 1)
        seen = self._bytes(first, end + len(signature) - 1 - first)
        place = seen.find(signature)
        while place >= 0:
            if first + place not in self._followed:
                yield first + place
            place = seen.find(signature, place + 1)

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

    def _follow_siblings(self, node: int) -> None:
        end = self._content.seek(0, io.SEEK_END)
        row: set[int] = set()
        # the last node names a place beyond every file
        while node + _NODE.size <= end and node not in self._followed:
            if node in row:
                raise Hdf5Error(f"{self._name} is damaged (a tree leads back to itself); make it again")
            row.add(node)
            signature, _, _, _, _, right = _NODE.unpack(self._bytes(node, _NODE.size))
            if signature != _NODE_SIGNATURE:
                break
            node = self._base + int(right)
        self._followed |= row

    def _bytes(self, start: int, size: int) -> bytes:
        self._content.seek(start)
        return self._content.read(size) or b""
