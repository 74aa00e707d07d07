"""RLE (PS3.5 annex G), decoded to the declared size and never beyond it."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from imagecodecs import DicomrleError, PackbitsError, dicomrle_decode, packbits_decode
from numpy.typing import NDArray

_HEADER = struct.Struct("<16I")
_MAX_PADDING_BYTES = 1024


def decode_rle(frame: bytes, out: NDArray[Any]) -> None:
    """Decode a frame with one sample per pixel.

    Args:
        frame: As in the file.
        out: Contiguous array of integers; it gets the values. Each byte of its type has a segment.

    Raises:
        ValueError: The frame holds something else, or less.
    """
    bounds = _bounds(frame, out)
    try:
        filled = len(dicomrle_decode(frame, out.dtype, out=out.reshape(-1).view(np.uint8).data))
    except (DicomrleError, ValueError):
        filled = 0
    if filled < out.nbytes:
        _decode_by_segments(frame, bounds, out)


def _bounds(frame: bytes, out: NDArray[Any]) -> list[int]:
    """Where segments begin, and the end; the decoder does not check them."""
    if len(frame) < _HEADER.size:
        raise ValueError("the RLE frame ends within its header")
    count, *offsets = _HEADER.unpack_from(frame)
    if count != out.itemsize:
        raise ValueError(f"the RLE frame has {count} segments, {out.itemsize} were expected")
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] != _HEADER.size or sorted(bounds) != bounds:
        raise ValueError("the offsets of the RLE segments are out of order")
    longest = max(end - start for start, end in pairwise(bounds))
    if longest > 2 * out.size + 2 + _MAX_PADDING_BYTES:  # each byte as a run of its own
        raise ValueError(f"an RLE segment has {longest} bytes for {out.size}")
    return bounds


def _decode_by_segments(frame: bytes, bounds: list[int], out: NDArray[Any]) -> None:
    """Slower, for segments that were padded more than to an even length, and to tell what is wrong with them."""
    # the most significant byte comes first
    planes = np.empty((out.size, out.itemsize), np.uint8)
    for number, (start, end) in enumerate(pairwise(bounds)):
        planes[:, number] = np.frombuffer(_decode_segment(frame[start:end], out.size), np.uint8)
    out[...] = planes.view(out.dtype.newbyteorder(">")).reshape(out.shape)


def _decode_segment(segment: bytes, size: int) -> bytes:
    if not segment:
        raise ValueError("an RLE segment is empty")
    try:
        decoded = bytes(packbits_decode(segment, out=bytearray(size + _MAX_PADDING_BYTES)))
    except PackbitsError:
        raise ValueError(f"an RLE segment is cut off, or holds more than the {size} bytes that were expected") from None
    if len(decoded) < size:
        raise ValueError(f"an RLE segment holds {len(decoded)} bytes, {size} were expected")
    # the image may have been made even
    if any(decoded[size + 1 :]):
        raise ValueError(f"an RLE segment holds more than the {size} bytes that were expected")
    return decoded[:size]
