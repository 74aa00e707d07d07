"""RLE (PS3.5 annex G), decoded to the declared size and never beyond it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<16I")


def decode_rle(frame: bytes, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode a frame with one sample per pixel.

    Args:
        frame: As in the file.
        rows, columns: Declared size.
        dtype: Integer type of the stored values; each of its bytes has a segment.

    Returns:
        `(rows, columns)` array of `dtype`.

    Raises:
        ValueError: The frame holds something else, or less.
    """
    if len(frame) < _HEADER.size:
        raise ValueError("the RLE frame ends within its header")
    count, *offsets = _HEADER.unpack_from(frame)
    if count != dtype.itemsize:
        raise ValueError(f"the RLE frame has {count} segments, {dtype.itemsize} were expected")
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] != _HEADER.size or sorted(bounds) != bounds:
        raise ValueError("the offsets of the RLE segments are out of order")
    # the most significant byte comes first
    planes = np.empty((rows * columns, dtype.itemsize), np.uint8)
    for number in range(count):
        segment = frame[bounds[number] : bounds[number + 1]]
        planes[:, number] = np.frombuffer(_decode_segment(segment, rows * columns), np.uint8)
    return planes.view(dtype.newbyteorder(">")).reshape(rows, columns).astype(dtype)


def _decode_segment(segment: bytes, size: int) -> bytes:
    if len(segment) > 2 * size + 2:  # each byte as a run of its own
        raise ValueError(f"an RLE segment has {len(segment)} bytes for {size}")
    decoded = bytearray()
    position = 0
    while position < len(segment) and len(decoded) < size:
        control = segment[position]
        if control < 128:
            decoded += segment[position + 1 : position + control + 2]
            position += control + 2
        elif control > 128:
            decoded += segment[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    if len(decoded) < size:
        raise ValueError(f"an RLE segment holds {len(decoded)} bytes, {size} were expected")
    # the segment, and perhaps the image, was made even
    if len(decoded) > size + 1 or segment[position:].strip(b"\0\x80"):
        raise ValueError(f"an RLE segment holds more than the {size} bytes that were expected")
    return bytes(decoded[:size])
