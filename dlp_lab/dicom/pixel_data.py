"""The stored values of one file: read where they lie, or decoded, after their declared size was checked.

Only the element with the pixels is read; what follows it in the file is never looked at.
"""

from __future__ import annotations

import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGExtended12Bit, RLELossless

from dlp_lab.dicom.codestream import read_codestream
from dlp_lab.dicom.data_set import PIXEL_DATA, PixelElement, open_inflated
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rle import decode_rle
from dlp_lab.errors import DicomError, Malformed, NoDecoder, Truncated, UnsupportedPixels

_ITEM = 0xFFFEE000
_SEQUENCE_END = 0xFFFEE0DD
MAX_FRAGMENTS = 100_000
MAX_OVERHEAD_BYTES = 2**20
"""A compressed image may be larger than the image by this and the image's size."""
_ITEM_HEADER = struct.Struct("<HHL")


def stored_dtype(header: Header) -> np.dtype[Any]:
    """Type of the stored values, in the byte order of this machine."""
    return np.dtype(f"{'i' if header.signed else 'u'}{header.bits_allocated // 8}")


def present_pixels(header: Header) -> PixelElement:
    """Where the pixels of a slice are.

    Raises:
        Truncated: There are none.
    """
    if header.pixels is None:
        raise Truncated(f"{header.name} has no PixelData (7FE0,0010), or ends before it; export it again")
    return header.pixels


def check_pixel_element(header: Header) -> None:
    """Compare the declared length of PixelData with the declared size of the image, and both with the file.

    PS3.5 8.1.1 and 7.1.1: uncompressed pixels fill the element, but for one byte that makes its length even. Some
    writers pad more than that; it is accepted up to the size of an image, and read as padding if it is all zero.

    Raises:
        Truncated, Malformed, UnsupportedPixels, NoDecoder: The message names the file.
    """
    name, pixels = header.name, present_pixels(header)
    if not header.transfer_syntax_uid.is_transfer_syntax:
        raise NoDecoder(f"{name}: its transfer syntax {header.transfer_syntax_uid[:64]!r} (0002,0010) is not known")
    if pixels.tag != PIXEL_DATA:
        raise UnsupportedPixels(f"{name} has floating point pixels (7FE0,0008) or (7FE0,0009), which are not read")
    if header.transfer_syntax_uid.is_encapsulated:
        if pixels.length is not None:
            raise Malformed(f"{name}: its compressed PixelData (7FE0,0010) has a defined length, as none may have")
        return
    if pixels.length is None:
        raise Malformed(f"{name}: its PixelData (7FE0,0010) has no length, as only compressed pixels may")
    if pixels.length < header.slice_bytes:
        raise Truncated(
            f"{name}: PixelData (7FE0,0010) has {pixels.length} bytes, {header.rows} x {header.columns} pixels of "
            f"{header.bits_allocated} bits need {header.slice_bytes}; export it again"
        )
    if header.transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
        _check_end(header, pixels)
    if pixels.length - header.slice_bytes >= max(header.slice_bytes, 2):
        raise Malformed(
            f"{name}: PixelData (7FE0,0010) has {pixels.length} bytes, enough for more than the one image of "
            f"{header.slice_bytes} bytes that is declared"
        )


def is_padded(header: Header) -> bool:
    """Whether PixelData has more than the image and the byte that makes its length even."""
    if header.pixels is None or header.pixels.length is None:
        return False
    return header.pixels.length - header.slice_bytes > header.slice_bytes % 2


def _check_end(header: Header, pixels: PixelElement) -> None:
    present = header.file_bytes - pixels.offset
    if present < header.slice_bytes:
        raise Truncated(
            f"{header.name} ends before its pixels do: {max(0, present)} of {header.slice_bytes} bytes of "
            "PixelData (7FE0,0010) are there; export it again"
        )


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


def read_uncompressed(header: Header, out: NDArray[Any], frames: InflatedFrames) -> None:
    """Read the pixels of an uncompressed or deflated file.

    Args:
        header: Of a slice that `check_pixel_element` accepted.
        out: Contiguous `(rows, columns)` array of `stored_dtype`; it gets the values.
        frames: Keeps what the next frame of the same file needs too.

    Raises:
        Truncated: The file ends before its pixels do.
        Malformed: What follows the image in PixelData is not padding.
        TooLarge: Deflated data inflates beyond the declared size.
    """
    assert header.pixels is not None
    try:
        with open(header.path, "rb", buffering=0) as file:
            source = _positioned(file, header, frames)
            _fill(header, source, out)
            _check_padding(header, source)
    except (DicomError, MemoryError, OSError):
        raise
    except Exception as error:  # zlib and pydicom each raise kinds of their own
        raise Malformed(f"{header.name}: its deflated data is broken; export it again") from error


def _positioned(file: Any, header: Header, frames: InflatedFrames) -> Any:
    assert header.pixels and header.pixels.length is not None
    source = file
    if header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian and header.frame is not None:
        source = frames.of(header, file)
    elif header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        limit = header.pixels.offset + header.pixels.length
        source = open_inflated(file, part_10=not header.without_preamble, limit=limit)
    source.seek(header.pixels.offset)
    return source


def _fill(header: Header, source: Any, out: NDArray[Any]) -> None:
    assert header.pixels is not None
    big_endian = header.transfer_syntax_uid == ExplicitVRBigEndian
    # bytes in 16-bit words: each word is swapped as a whole (PS3.5 annex D)
    in_words = big_endian and out.itemsize == 1 and header.pixels.vr == "OW"
    target = np.empty(out.size + out.size % 2, np.uint8) if in_words else out
    view = memoryview(target.reshape(-1).view(np.uint8).data)
    filled = 0
    while filled < len(view):
        got = source.readinto(view[filled:])
        if not got:
            break
        filled += got
    if filled < header.slice_bytes:
        raise Truncated(
            f"{header.name} ends before its pixels do: {filled} of {header.slice_bytes} bytes of PixelData "
            "(7FE0,0010) are there; export it again"
        )
    if in_words:
        swapped = target.reshape(-1, 2)[:, ::-1].reshape(-1)[: out.size]
        out[...] = swapped.reshape(out.shape).view(out.dtype)
    elif big_endian == (sys.byteorder == "little"):
        out.byteswap(inplace=True)


def _check_padding(header: Header, source: Any) -> None:
    assert header.pixels and header.pixels.length is not None
    surplus = header.pixels.length - header.slice_bytes
    if is_padded(header) and any(source.read(surplus)):
        raise Malformed(
            f"{header.name}: PixelData (7FE0,0010) has {surplus} bytes more than {header.rows} x "
            f"{header.columns} pixels need, and they are not padding; Rows or Columns may be wrong"
        )


def read_compressed(header: Header) -> NDArray[Any]:
    """Decode the pixels of a compressed file.

    Returns:
        `(rows, columns)` array of integers.

    Raises:
        NoDecoder: No decoder is installed for the transfer syntax.
        Truncated: The file ends before its pixels do.
        Malformed, UnsupportedPixels: The pixels cannot be decoded, or are not what the header declares.
    """
    name, syntax = header.name, header.transfer_syntax_uid
    with open(header.path, "rb") as file:
        frame = _frame_of_several(header, file) if present_pixels(header).fragments else _frame(header, file)
    try:
        if syntax == RLELossless:
            return decode_rle(frame, header.rows, header.columns, stored_dtype(header))
        _check_codestream(header, frame)
    except DicomError:
        raise
    except ValueError as error:
        raise Malformed(f"{name}: {error}; export it again") from None
    try:
        pixels = _decode(header, frame)
    except (NotImplementedError, RuntimeError) as error:
        if _decodable(header):
            raise Malformed(f"{name}: its {syntax.name} pixels cannot be decoded; export it again") from error
        raise NoDecoder(
            f"{name} is encoded as {syntax.name}, for which no decoder is installed; convert the series to an "
            "uncompressed transfer syntax first"
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        # decoders raise many kinds of exception on broken pixels; all mean the same to the user
        raise Malformed(f"{name}: its pixels cannot be decoded ({type(error).__name__}); export it again") from error
    if pixels.shape != (header.rows, header.columns) or pixels.dtype.kind not in "iu":
        raise Malformed(f"{name}: {header.rows} x {header.columns} pixels were declared, {pixels.shape} were decoded")
    return pixels


def _frame(header: Header, file: BinaryIO) -> bytes:
    """The fragments of the one frame, joined (PS3.5 A.4)."""
    name = header.name
    file.seek(present_pixels(header).offset)
    fragments: list[bytes] = []
    bytes_left = 2 * header.slice_bytes + MAX_OVERHEAD_BYTES
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
        present = header.file_bytes - file.tell()
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
    raise Malformed(f"{name}: its compressed pixels are more than twice as large as the image; export it again")


def _frame_of_several(header: Header, file: BinaryIO) -> bytes:
    """The fragments of a frame whose place is known, joined."""
    fragments = present_pixels(header).fragments or ()
    if sum(length for _, length in fragments) > 2 * header.slice_bytes + MAX_OVERHEAD_BYTES:
        raise Malformed(
            f"{header.name}: its compressed pixels are more than twice as large as the image; export it again"
        )
    pieces = []
    for offset, length in fragments:
        file.seek(offset)
        pieces.append(file.read(length))
    return b"".join(pieces)


def _check_codestream(header: Header, frame: bytes) -> None:
    """Refuse what a decoder would make another image of than the header declares.

    Raises:
        ValueError: The markers make no sense.
        Malformed, UnsupportedPixels: They and the header differ.
    """
    name = header.name
    codestream = read_codestream(frame, header.transfer_syntax_uid)
    if codestream is None:
        return
    found = (codestream.rows, codestream.columns, codestream.components)
    if found != (header.rows, header.columns, 1):
        raise Malformed(
            f"{name}: {header.rows} x {header.columns} x 1 pixels were declared, the compressed image holds "
            f"{' x '.join(map(str, found))}"
        )
    if codestream.precision > header.bits_allocated:
        raise Malformed(
            f"{name}: {header.bits_allocated} bits are allocated for a pixel, the compressed image has "
            f"{codestream.precision}"
        )
    if header.signed and codestream.signed is None and codestream.precision != header.bits_stored:
        raise UnsupportedPixels(
            f"{name}: where the sign of its pixels is cannot be told: {header.bits_stored} bits are stored, the "
            f"compressed image has {codestream.precision}"
        )


def _decode(header: Header, frame: bytes) -> NDArray[Any]:
    options: dict[str, Any] = {
        "rows": header.rows,
        "columns": header.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": header.photometric_interpretation,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "pixel_keyword": "PixelData",
        "pixel_vr": "OB",
    }
    decoder = get_decoder(header.transfer_syntax_uid)
    return decoder.as_array(encapsulate([frame]), index=None, validate=True, raw=False, decoding_plugin="", **options)[
        0
    ]


def _decodable(header: Header) -> bool:
    if header.transfer_syntax_uid == JPEGExtended12Bit and header.bits_stored > 8:
        return False  # the decoders there are know its 8-bit half only
    try:
        decoder = get_decoder(header.transfer_syntax_uid)
    except NotImplementedError:
        return False
    return bool(decoder.is_available)
