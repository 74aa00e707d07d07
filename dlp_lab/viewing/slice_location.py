"""Where an uncompressed slice lies in its own file, so that it can be shown without more than reading its bytes."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import Unreadable
from dlp_lab.viewing.volume_info import ShownType


class SliceLocation(msgspec.Struct, frozen=True, array_like=True):
    """Stored values of a slice in a file, row by row, and how they become real ones.

    Attributes:
        path: Of the file, as bytes.
        offset: Of the first stored value.
        dtype: Of the stored values, such as "<i2".
        unused_bits: How many bits above the stored ones are not the value's.
        slope, intercept: Real value = stored value x slope + intercept.
    """

    path: bytes
    offset: int
    dtype: str
    unused_bits: int
    slope: float
    intercept: float


def read_slice(location: SliceLocation, rows: int, columns: int, dtype: ShownType) -> NDArray[Any]:
    """Read a slice as real values.

    Returns:
        `(rows, columns)` array of `dtype`.

    Raises:
        Unreadable: The file cannot be opened any more, or is shorter than it was.
    """
    name = os.path.basename(os.fsdecode(location.path))
    values = np.empty((rows, columns), location.dtype)
    try:
        descriptor = os.open(location.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            got = os.preadv(descriptor, [values.data], location.offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unreadable(f"{name} could not be read ({error.strerror}); was it moved meanwhile?") from None
    if got != values.nbytes:
        raise Unreadable(f"{name} is shorter than it was; was it replaced meanwhile? Open the series again")
    return rescaled(values, location.unused_bits, location.slope, location.intercept, dtype)


def rescaled(stored: NDArray[Any], unused_bits: int, slope: float, intercept: float, dtype: ShownType) -> NDArray[Any]:
    """Stored values as real ones, of `dtype`, which holds them."""
    if unused_bits:
        # drops what is set above the stored bits and, for signed values, extends the sign
        stored = np.right_shift(np.left_shift(stored, unused_bits), unused_bits)
    if dtype == "float32":
        values: NDArray[Any] = np.multiply(stored, np.float32(slope), dtype=np.float32)
        values += np.float32(intercept)
        return values
    values = stored.astype(dtype)  # both steps wrap around alike, so the sum is right
    if intercept:
        values += np.int64(intercept).astype(dtype)
    return values
