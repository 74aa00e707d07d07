"""Where the bytes of one compressed image lie, and what it must decode to.

This is all that a process that decodes is told, so nothing of the patient; and neither here nor below is pydicom
imported, so that such a process starts quickly.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import numpy as np

from dlp_lab.dicom.unchanged_file import FileState, opened_unchanged
from dlp_lab.errors import Malformed, Truncated

MAX_FRAGMENTS = 100_000
MAX_OVERHEAD_BYTES = 2**20
"""A compressed image may be larger than the image by this and the image's size."""

_ITEM = 0xFFFEE000
_SEQUENCE_END = 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHL")


@cache
def stored_type(signed: bool, bits_allocated: int) -> np.dtype[Any]:
    """Type of stored values, in the byte order of this machine."""
    return np.dtype(f"{'i' if signed else 'u'}{bits_allocated // 8}")


@dataclass(frozen=True)
class EncodedFrame:
    """A compressed image in a file.

    Attributes:
        name: What messages call it.
        path: Of the file, as the system spells it: not every path is text.
        state: Of the file when its header was read.
        offset: Where the items of PixelData begin.
        fragments: Where the pieces of one frame of several begin, and how many bytes they have; None where all items
            but the first, an offset table, are pieces.
        transfer_syntax_uid: How it is encoded.
        rows, columns: Declared size.
        bits_allocated, bits_stored, signed: Of the stored values.
    """

    name: str
    path: bytes
    state: FileState
    offset: int
    fragments: tuple[tuple[int, int], ...] | None
    transfer_syntax_uid: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored values, in the byte order of this machine."""
        return stored_type(self.signed, self.bits_allocated)

    @property
    def decoded_bytes(self) -> int:
        return self.rows * self.columns * (self.bits_allocated // 8)


def read_encoded(frame: EncodedFrame) -> bytes:
    """The fragments of a frame, joined (PS3.5 A.4).

    Raises:
        Truncated: The file ends before its pixels do.
        Malformed: PixelData is not made of items, or has more than any compressed image of that size.
        FileChanged: The file is not as it was when its header was read.
        OSError: The file cannot be opened any more.
    """
    with opened_unchanged(frame) as file:
        return _only_frame(frame, file) if frame.fragments is None else _one_of_several(frame, frame.fragments, file)


def _only_frame(frame: EncodedFrame, file: BinaryIO) -> bytes:
    name = frame.name
    file.seek(frame.offset)
    fragments: list[bytes] = []
    bytes_left = 2 * frame.decoded_bytes + MAX_OVERHEAD_BYTES
    for number in range(MAX_FRAGMENTS):
        start = file.read(_ITEM_HEADER.size)
        if len(start) < _ITEM_HEADER.size:
            raise Truncated(f"{name} ends before its pixels do (PixelData (7FE0,0010)); export it again")
        group, element, length = _ITEM_HEADER.unpack(start)
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return b"".join(fragments)
        if tag != _ITEM:
            raise Malformed(f"{name}: PixelData (7FE0,0010) is not made of items; export it again")
        present = frame.state.file_bytes - file.tell()
        if length > present:
            raise Truncated(
                f"{name} ends before its pixels do: an item of PixelData (7FE0,0010) declares {length} bytes, "
                f"{max(0, present)} are there; export it again"
            )
        bytes_left -= length
        if bytes_left < 0:
            break
        if number == 0:  # the offset table, of no use for one frame
            file.seek(length, 1)
        else:
            fragments.append(file.read(length))
    raise _too_much(frame)


def _one_of_several(frame: EncodedFrame, fragments: tuple[tuple[int, int], ...], file: BinaryIO) -> bytes:
    if sum(length for _, length in fragments) > 2 * frame.decoded_bytes + MAX_OVERHEAD_BYTES:
        raise _too_much(frame)
    pieces = []
    for offset, length in fragments:
        file.seek(offset)
        pieces.append(file.read(length))
    return b"".join(pieces)


def _too_much(frame: EncodedFrame) -> Malformed:
    return Malformed(f"{frame.name}: its compressed pixels are more than twice as large as the image; export it again")
