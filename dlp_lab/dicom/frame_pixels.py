"""Where in its file the pixels of each frame are (PS3.5 8.2 and A.4).

Native frames follow each other without a gap. Compressed frames are fragments, and which fragment belongs to which
frame is known if there is one for each, or if an offset table says where frames begin.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import ExplicitVRBigEndian

from dlp_lab.dicom.data_set import PIXEL_DATA, PixelElement, open_inflated
from dlp_lab.dicom.encoded_frame import MAX_FRAGMENTS
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import Malformed, Truncated, Unreadable, UnsupportedPixels

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHL")

Fragment = tuple[int, int]
"""Where its bytes begin in the file, and how many they are."""


def with_own_pixels(headers: Sequence[Header]) -> list[Header]:
    """The headers, those of frames with the place of their own pixels instead of all that are in the file.

    Raises:
        Truncated, Malformed, UnsupportedPixels: The pixels of a file are not those of the frames it declares.
        Unreadable, FileChanged: A file cannot be opened any more, or is not as it was when its header was read.
    """
    fragments: dict[Path, list[list[Fragment]]] = {}
    located = []
    for header in headers:
        pixels = header.pixels
        if header.frame is None or pixels is None or pixels.tag != PIXEL_DATA:
            located.append(header)
        elif pixels.length is not None:
            located.append(header.but(pixels=_native(header, header.frame, pixels, pixels.length)))
        else:
            if header.path not in fragments:
                fragments[header.path] = _fragments_by_frame(header, pixels)
            own = fragments[header.path][header.frame]
            located.append(header.but(pixels=replace(pixels, offset=own[0][0], fragments=tuple(own))))
    return located


def _native(header: Header, frame: int, pixels: PixelElement, length: int) -> PixelElement:
    """The bytes of one frame; what is too much behind the last one is left to it, as behind a single image."""
    if header.transfer_syntax_uid == ExplicitVRBigEndian and pixels.vr == "OW" and header.slice_bytes % 2:
        raise UnsupportedPixels(
            f"{header.path.name} has frames of an odd number of bytes in big endian words, which are not read"
        )
    start = frame * header.slice_bytes
    is_last = frame == header.frames - 1
    own = max(0, length - start) if is_last else min(header.slice_bytes, max(0, length - start))
    return replace(pixels, offset=pixels.offset + start, length=own)


def _fragments_by_frame(header: Header, pixels: PixelElement) -> list[list[Fragment]]:
    name = header.path.name
    try:
        with opened_unchanged(header) as file:
            starts, fragments = _read_items(header, pixels, file)
            # so it always is where there is an ExtendedOffsetTable (7FE0,0001) (PS3.5 A.4)
            if len(fragments) == header.frames:
                return [[fragment] for fragment in fragments]
            if header.frames == 1:
                return [fragments]
    except OSError as error:
        raise Unreadable(f"{name} cannot be read ({error.strerror}); was it moved meanwhile?") from None
    if not starts:
        raise UnsupportedPixels(
            f"{name}: PixelData (7FE0,0010) has {len(fragments)} fragments for {header.frames} frames and no offset "
            "table, so which belong to which cannot be told; export it uncompressed"
        )
    # offsets count from the first item behind the table
    items = [place - _ITEM_HEADER.size for place, _ in fragments]
    borders = [bisect_left(items, items[0] + start) for start in starts]
    at_items = all(k < len(items) and items[k] == items[0] + start for k, start in zip(borders, starts, strict=True))
    if not at_items or len(starts) != header.frames or borders[0] != 0 or borders != sorted({*borders}):
        raise Malformed(
            f"{name}: the offset table of PixelData (7FE0,0010) has {len(starts)} entries for {header.frames} frames, "
            "or they lead elsewhere than to the start of one; export it again"
        )
    return [fragments[start:end] for start, end in zip(borders, [*borders[1:], len(fragments)], strict=True)]


def _read_items(header: Header, pixels: PixelElement, file: BinaryIO) -> tuple[list[int], list[Fragment]]:
    """Basic Offset Table, and where all fragments are."""
    name = header.path.name
    file.seek(pixels.offset)
    items: list[Fragment] = []
    for _ in range(MAX_FRAGMENTS):
        start = file.read(_ITEM_HEADER.size)
        if len(start) < _ITEM_HEADER.size:
            raise Truncated(f"{name} ends before its pixels do (PixelData (7FE0,0010)); export it again")
        group, element, length = _ITEM_HEADER.unpack(start)
        tag = group << 16 | element
        if tag == _SEQUENCE_END and items:
            (place, size), *fragments = items
            file.seek(place)
            table = file.read(size)
            if not fragments:
                raise Truncated(f"{name} has no fragment in its PixelData (7FE0,0010); export it again")
            return list(struct.unpack(f"<{size // 4}L", table[: size // 4 * 4])), fragments
        if tag != _ITEM:
            raise Malformed(f"{name}: PixelData (7FE0,0010) is not made of items; export it again")
        place = file.tell()
        if place + length > header.file_bytes:
            raise Truncated(
                f"{name} ends before its pixels do: an item of PixelData (7FE0,0010) declares {length} bytes, "
                f"{header.file_bytes - place} are there; export it again"
            )
        items.append((place, length))
        file.seek(length, os.SEEK_CUR)
    raise Malformed(f"{name}: its compressed pixels have more than {MAX_FRAGMENTS} fragments; export it again")


class InflatedFrames:
    """The last deflated file of several frames, inflated: each frame alone would inflate again all that lies before."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._inflated = BytesIO()

    def of(self, header: Header, file: BinaryIO) -> BytesIO:
        """The inflated data set of a frame's open file, up to the end of what its pixels may be."""
        if self._path != header.path:
            assert header.pixels is not None and header.frame is not None
            # one frame more: behind the last one there may be padding
            limit = header.pixels.offset + (header.frames - header.frame + 1) * header.slice_bytes
            inflated = open_inflated(file, part_10=not header.without_preamble, limit=limit)
            self._path, self._inflated = header.path, BytesIO(inflated.read(limit))
        return self._inflated
