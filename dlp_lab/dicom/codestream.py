"""What a compressed image says of itself, read from its first markers, before anything is decoded.

A decoder makes room for the size that the codestream names, not for the one that the header of the file names.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 57, 70))
"""Baseline, extended, spectral selection, full progression, lossless, lossless of first order."""
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
RLE = "1.2.840.10008.1.2.5"
READ = frozenset({*JPEG, *JPEG_LS, *JPEG_2000, RLE})
"""The compressed transfer syntaxes that are read."""

MAX_TILES = 4096
"""OpenJPEG keeps some kB for each tile, however small."""
MAX_TILE_PARTS = 2**16
MAX_MARKERS_BYTES = 2**20
"""Where the image itself must have begun."""

_JPEG_START = b"\xff\xd8"
_SCAN = b"\xff\xda"
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_START_OF_TILE = b"\xff\x90"
_END_OF_IMAGE = b"\xff\xd9"
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_NOT_FRAME_HEADERS = (0xC4, 0xC8, 0xCC)
_START_OF_SCAN, _END = 0xDA, 0xD9
_LOSSLESS, _JPEG_LS_FRAME = 0xC3, 0xF7
_HIGH_THROUGHPUT = 0x4000
MAX_SCANS = 100
"""Each goes over the whole image, however few bytes it has."""


class Coding(Enum):
    """How an image is encoded, in words. It may be another way than its transfer syntax says.

    High-throughput images whose tiles do not end where they declare count as plain JPEG 2000: OpenJPEG reads both, and
    refuses what is cut off; OpenJPH makes it up.
    """

    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    HIGH_THROUGHPUT = "High-Throughput JPEG 2000"


@dataclass(frozen=True)
class Codestream:
    """Size of a compressed image.

    Attributes:
        coding: How it is encoded.
        precision: Bits of a sample.
        signed: Whether samples have a sign; None where the format does not say, as all but JPEG 2000.
        start: Where the codestream begins: behind the boxes of a JP2 file, which play no part (PS3.5 A.4.4).
    """

    coding: Coding
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None
    start: int = 0


def read_codestream(frame: bytes, transfer_syntax_uid: str) -> Codestream:
    """Size of an image by its own markers.

    Args:
        frame: As in the file.
        transfer_syntax_uid: One of JPEG, JPEG-LS or JPEG 2000.

    Raises:
        ValueError: The markers make no sense; the message says which.
    """
    try:
        is_jpeg_2000 = transfer_syntax_uid in JPEG_2000
        found = _read_siz(frame) if is_jpeg_2000 else _read_frame_header(frame[:MAX_MARKERS_BYTES])
    except (struct.error, IndexError):
        raise ValueError("the compressed image ends within its header") from None
    # decoders make up what is missing
    if not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise ValueError("the compressed image ends before its end marker")
    if found.coding is Coding.JPEG and frame.count(_SCAN) > MAX_SCANS:
        raise ValueError(f"the JPEG image has more than {MAX_SCANS} scans")
    return found


def _read_frame_header(frame: bytes) -> Codestream:
    """SOF, of which there must be one before the first scan (ITU-T T.81 B.2.2, T.87 C.2.2)."""
    if frame[:2] != _JPEG_START:
        raise ValueError("no JPEG image begins there")
    found: list[Codestream] = []
    position = 2
    while True:
        if frame[position] != 0xFF:
            raise ValueError("a JPEG marker was expected")
        while frame[position] == 0xFF:  # any number may stand before a marker
            position += 1
        marker = frame[position]
        if marker in (_START_OF_SCAN, _END):
            break
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME_HEADERS) or marker == _JPEG_LS_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 3)
            found.append(Codestream(_coding(marker), rows, columns, components, precision))
        position += 1 + struct.unpack_from(">H", frame, position + 1)[0]
    if len(found) != 1:
        raise ValueError(f"the JPEG image has {len(found)} frame headers, 1 was expected")
    return found[0]


def _coding(frame_marker: int) -> Coding:
    if frame_marker == _JPEG_LS_FRAME:
        return Coding.JPEG_LS
    return Coding.JPEG_LOSSLESS if frame_marker == _LOSSLESS else Coding.JPEG


def _read_siz(frame: bytes) -> Codestream:
    """SIZ, the first marker segment (ITU-T T.800 A.5.1)."""
    start = _start_in_jp2(frame) if frame.startswith(_JP2_SIGNATURE) else 0
    if frame[start : start + 4] != _JPEG_2000_START:
        raise ValueError("no JPEG 2000 codestream begins there")
    (capabilities,) = struct.unpack_from(">H", frame, start + 6)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components, depth = struct.unpack_from(
        ">8IHB", frame, start + 8
    )
    subsampled = struct.unpack_from(">2B", frame, start + 43) != (1, 1)
    if subsampled or not (tile_width and tile_height and tile_left <= left < right and tile_top <= top < bottom):
        raise ValueError("the JPEG 2000 codestream has an impossible grid")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > MAX_TILES:
        raise ValueError(f"the JPEG 2000 codestream has {tiles} tiles; up to {MAX_TILES} are read")
    ends_as_declared = _check_tiles(frame, start, tiles)
    high_throughput = capabilities & _HIGH_THROUGHPUT and ends_as_declared
    coding = Coding.HIGH_THROUGHPUT if high_throughput else Coding.JPEG_2000
    return Codestream(coding, bottom - top, right - left, components, (depth & 0x7F) + 1, bool(depth & 0x80), start)


def _check_tiles(frame: bytes, start: int, tiles: int) -> bool:
    """Every tile must be there: OpenJPEG leaves out those that are not (ITU-T T.800 A.4.2).

    Returns:
        Whether the end marker is where the tiles declare their end.
    """
    position = start + 2
    header = frame[:MAX_MARKERS_BYTES]
    while header[position : position + 2] != _START_OF_TILE:
        position += 2 + struct.unpack_from(">H", header, position + 2)[0]
    seen: set[int] = set()
    for _ in range(MAX_TILE_PARTS):
        if frame[position : position + 2] != _START_OF_TILE:
            break
        index, length = struct.unpack_from(">HI", frame, position + 4)
        seen.add(index)
        if not length:  # it is the last one, and reaches to the end
            break
        position += max(length, 14)
    if seen != set(range(tiles)):
        raise ValueError(f"the JPEG 2000 codestream declares {tiles} tiles and holds {len(seen)}")
    return frame[position : position + 2] == _END_OF_IMAGE


def _start_in_jp2(frame: bytes) -> int:
    """Offset of the codestream in a JP2 file, which some writers store whole (ITU-T T.800 I.4)."""
    position = 0
    while True:
        length, kind = struct.unpack_from(">I4s", frame, position)
        if kind == b"jp2c":
            return position + (16 if length == 1 else 8)
        if length < 8:
            raise ValueError("a box of the JP2 file has an impossible length")
        position += length
