"""Where the stored values of one image are, once their declared size is checked; uncompressed ones are read here.

Only the element with the pixels is read; what follows it in the file is never looked at.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from dlp_lab.dicom.codestream import READ
from dlp_lab.dicom.data_set import PIXEL_DATA, PixelElement, open_inflated
from dlp_lab.dicom.encoded_frame import EncodedFrame, stored_type
from dlp_lab.dicom.frame_pixels import InflatedFrames
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.unchanged_file import opened_unchanged, refuse_changed
from dlp_lab.errors import DicomError, Malformed, NoDecoder, Truncated, UnsupportedPixels


def stored_dtype(header: Header) -> np.dtype[Any]:
    """Type of the stored values, in the byte order of this machine."""
    return stored_type(header.signed, header.bits_allocated)


@cache
def _is_encapsulated(transfer_syntax: UID) -> bool:
    """Whether its pixels are compressed. The question to a UID itself is slow, and is asked for every slice."""
    return transfer_syntax.is_encapsulated


@cache
def _is_transfer_syntax(uid: UID) -> bool:
    return uid.is_transfer_syntax


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
    if not _is_transfer_syntax(header.transfer_syntax_uid):
        raise NoDecoder(f"{name}: its transfer syntax {header.transfer_syntax_uid[:64]!r} (0002,0010) is not known")
    if pixels.tag != PIXEL_DATA:
        raise UnsupportedPixels(f"{name} has floating point pixels (7FE0,0008) or (7FE0,0009), which are not read")
    if _is_encapsulated(header.transfer_syntax_uid):
        if header.transfer_syntax_uid not in READ:
            raise NoDecoder(
                f"{name} is encoded as {header.transfer_syntax_uid.name}, which is not read; convert the series to an "
                "uncompressed transfer syntax first"
            )
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


def encoded_frame(header: Header) -> EncodedFrame:
    """The compressed image of a slice that `check_pixel_element` accepted."""
    pixels = present_pixels(header)
    return EncodedFrame(
        name=header.name,
        path=os.fsencode(header.path),
        state=header.state,
        offset=pixels.offset,
        fragments=pixels.fragments,
        transfer_syntax_uid=str(header.transfer_syntax_uid),
        rows=header.rows,
        columns=header.columns,
        bits_allocated=header.bits_allocated,
        bits_stored=header.bits_stored,
        signed=header.signed,
    )


def read_uncompressed(header: Header, out: NDArray[Any], frames: InflatedFrames) -> None:
    """Read the pixels of an uncompressed or deflated file.

    Args:
        header: Of a slice that `check_pixel_element` accepted.
        out: Contiguous `(rows, columns)` array of `stored_dtype`; it gets the values.
        frames: Keeps what the next frame of the same file needs too.

    Raises:
        Truncated: The file ends before its pixels do.
        Malformed: What follows the image in PixelData is not padding.
        FileChanged: The file is not as it was when its header was read.
        TooLarge: Deflated data inflates beyond the declared size.
    """
    assert header.pixels is not None
    if _read_directly(header, header.pixels, out):
        return
    try:
        with opened_unchanged(header, buffering=0) as file:
            source = _positioned(file, header, frames)
            _fill(header, source, out)
            _check_padding(header, source)
    except (DicomError, MemoryError, OSError):
        raise
    except Exception as error:  # zlib and pydicom each raise kinds of their own
        raise Malformed(f"{header.name}: its deflated data is broken; export it again") from error


def _read_directly(header: Header, pixels: PixelElement, out: NDArray[Any]) -> bool:
    """Read pixels that lie in the file as they lie in memory, and are all of the element; whether they did."""
    foreign = DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
    if header.transfer_syntax_uid in foreign or sys.byteorder != "little" or is_padded(header):
        return False
    descriptor = os.open(header.path, os.O_RDONLY)
    try:
        whole = os.preadv(descriptor, [out.data], pixels.offset) == out.nbytes
        refuse_changed(descriptor, header.state, header.name)
        return whole
    finally:
        os.close(descriptor)


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
