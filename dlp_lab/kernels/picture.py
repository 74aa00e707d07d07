"""A slice as a small gray picture. Plain arrays in, plain arrays and bytes out."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY_8_BITS = (8, 0, 0, 0, 0)


def window_of(values: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest value to show, where no window is customary: without the 1 % darkest and 0.5 % brightest."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (1, 99.5))
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def gray_picture(
    values: NDArray[Any], pixel_size_mm: tuple[float, float], window: tuple[float, float], longest_px: int
) -> NDArray[np.uint8]:
    """A slice in shades of gray, in its true proportions.

    Args:
        values: `(rows, columns)`.
        pixel_size_mm: Distances between rows and between columns.
        window: What is black and what is white; if they are equal, all is mid-gray.
        longest_px: Length of the longer side of the picture.

    Returns:
        `(height, width)`; each pixel is the mean of what it covers, or the nearest value where it covers less than one.
    """
    heights_mm = values.shape[0] * pixel_size_mm[0], values.shape[1] * pixel_size_mm[1]
    scale = longest_px / max(heights_mm)
    height, width = (min(longest_px, max(1, round(side * scale))) for side in heights_mm)
    low, high = window
    shown = _means(_means(values, height).T, width).T
    if low == high:
        return np.full(shown.shape, 128, np.uint8)
    gray = np.nan_to_num((shown - low) / (high - low), nan=0.0)
    picture: NDArray[np.uint8] = np.rint(np.clip(gray, 0, 1) * 255).astype(np.uint8)
    return picture


def _means(values: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Rows brought to so many, each the mean of those it covers."""
    edges = np.arange(count + 1) * len(values) // count
    if count >= len(values):
        return values[edges[:-1]].astype(np.float32)
    sums = np.add.reduceat(values.astype(np.float32, copy=False), edges[:-1], axis=0)
    counts = np.diff(edges).astype(np.float32)
    means: NDArray[np.float32] = np.divide(sums, counts[:, None], dtype=np.float32)
    return means


def png_of(gray: NDArray[np.uint8]) -> bytes:
    """A `(height, width)` picture as a PNG file (ISO/IEC 15948), which says nothing but its pixels."""
    height, width = gray.shape
    lines = np.zeros((height, 1 + width), np.uint8)  # each line begins with the number of its filter, 0 for none
    lines[:, 1:] = gray
    return b"".join(
        (
            _PNG_SIGNATURE,
            _chunk(b"IHDR", struct.pack(">II5B", width, height, *_GRAY_8_BITS)),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
