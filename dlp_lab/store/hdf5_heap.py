"""The one part of an HDF5 file at which the library can loop for ever: the global heap, where texts of any length lie.

A collection (HDF5 file format specification, III.E) is a list of objects, each with its size; it has no checksum, and
the library follows the sizes without end when they are wrong. So the sizes are followed here before the file is opened.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_SIGNATURE = b"GCOL\x01"
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")


def texts_can_be_read(path: Path) -> bool:
    """Whether the sizes in every global heap collection of a file lead exactly to its end."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return True
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.find(_SIGNATURE)
            while start >= 0:
                # collections are aligned; elsewhere the signature is there by chance
                if start % 8 == 0 and not _leads_to_its_end(content, start):
                    return False
                start = content.find(_SIGNATURE, start + 1)
    return True


def _leads_to_its_end(content: mmap.mmap, start: int) -> bool:
    if start + _COLLECTION.size > len(content):
        return False
    _, _, size = _COLLECTION.unpack_from(content, start)
    end = start + int(size)
    if end > len(content):
        return False
    place = start + _COLLECTION.size
    while place + _OBJECT.size <= end:
        index, _, length = _OBJECT.unpack_from(content, place)
        if index == 0:  # the free space, which is last and counts its own header
            return place + int(length) == end
        place += _OBJECT.size + (int(length) + 7) // 8 * 8
    return place <= end
