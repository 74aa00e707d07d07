"""From a series to a volume: the pixels, each in its place and in its unit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dlp_lab.dicom.compressed import FrameDecoder, decoded_here
from dlp_lab.dicom.frame_pixels import InflatedFrames
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.pixel_data import encoded_frame, read_uncompressed, stored_dtype
from dlp_lab.dicom.series import Series
from dlp_lab.errors import Unreadable
from dlp_lab.large_arrays import volume_array
from dlp_lab.processors import in_parts
from dlp_lab.volume import Volume

_SLICES_AT_ONCE = 32
"""Are read between two looks at whether the job was cancelled."""


def read_volume(
    series: Series,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    decode: FrameDecoder = decoded_here,
) -> Volume:
    """Read the pixels of a series as real-world values.

    Every slice is rescaled by its own RescaleSlope and RescaleIntercept. The result is integer (int16 if all values
    fit, else the next wider type that holds them) when all slopes are 1 and all intercepts whole, so that no value
    changes; float32 otherwise.

    Args:
        series: From `one_series`.
        report: Called with the fraction read and the step's name; what it raises ends the reading.
        decode: Decodes compressed slices.

    Returns:
        `(k, j, i)` volume in the unit of the series.

    Raises:
        NoDecoder: No decoder is installed for the transfer syntax.
        Truncated: A file ends before its pixels do.
        Malformed: The pixels cannot be decoded, or are not those that the header declares.
        Unreadable: A file cannot be opened any more.
    """
    shape = len(series.headers), series.first.rows, series.first.columns
    slices = StoredSlices()
    voxels = read_slices(series.headers, volume_array(shape, values_dtype(series)), slices, report, decode)
    report(1.0, "read")
    return Volume(
        voxels=_on_grid(voxels, series),
        geometry=series.geometry,
        unit=series.first.unit,
        modality=series.first.modality,
        source_series_uid=series.first.series_instance_uid or None,
        warnings=(*series.warnings, *slices.warnings()),
    )


def values_dtype(series: Series) -> np.dtype[Any]:
    """The narrowest type that the values of a series may be read as: int16, unless they are no whole numbers."""
    exact = all(header.rescale_slope == 1 and header.rescale_intercept % 1 == 0 for header in series.headers)
    return np.dtype(np.int16 if exact else np.float32)


def read_slices(
    headers: Sequence[Header],
    voxels: NDArray[Any],
    slices: StoredSlices,
    report: Callable[[float, str], None],
    decode: FrameDecoder,
) -> NDArray[Any]:
    """Read the pixels of some slices as real-world values.

    Args:
        headers: Of the slices.
        voxels: `(n, rows, columns)` array of `values_dtype` or a wider type, which gets the values.
        slices: Reads what is not compressed.
        report, decode: As for `read_volume`, which tells the errors too.

    Returns:
        `voxels`, or an array of a wider type where its own does not hold the values.
    """
    if any(_is_decoded_in_turn(header) for header in headers):
        return _read_in_turn(headers, voxels, slices, report, decode)
    for start in range(0, len(headers), _SLICES_AT_ONCE):
        report(start / len(headers), f"reading slice {start + 1} of {len(headers)}")
        end = min(start + _SLICES_AT_ONCE, len(headers))
        voxels = _with_part(voxels, start, _read_on_threads(headers[start:end], voxels[start:end], slices, decode))
    return voxels


def _read_on_threads(
    headers: Sequence[Header], voxels: NDArray[Any], slices: StoredSlices, decode: FrameDecoder
) -> NDArray[Any]:
    parts: dict[int, tuple[NDArray[Any], StoredSlices]] = {}

    def read(first: int, end: int) -> None:
        own = StoredSlices()
        parts[first] = _read_in_turn(headers[first:end], voxels[first:end], own, _to_nobody, decode), own

    in_parts(read, len(headers))
    for start, (part, own) in sorted(parts.items(), key=lambda item: item[0]):
        voxels = _with_part(voxels, start, part)
        slices.take_note_of(own)
    return voxels


def _with_part(voxels: NDArray[Any], start: int, part: NDArray[Any]) -> NDArray[Any]:
    """`voxels` with a part that was read into them, or became wider than they are."""
    if part.dtype.itemsize > voxels.dtype.itemsize:
        voxels = voxels.astype(part.dtype)
    if not np.may_share_memory(part, voxels):
        voxels[start : start + len(part)] = part
    return voxels


def _read_in_turn(
    headers: Sequence[Header],
    voxels: NDArray[Any],
    slices: StoredSlices,
    report: Callable[[float, str], None],
    decode: FrameDecoder,
) -> NDArray[Any]:
    exact = voxels.dtype.kind == "i"
    with closing(_decoded(headers, voxels, decode)) as decoded:
        for k, header in enumerate(headers):
            report(k / len(headers), f"reading slice {k + 1} of {len(headers)}")
            place = voxels[k]
            values = next(decoded) if _is_compressed(header) else slices.read(header, place)
            if exact:
                voxels = _holding(voxels, values, header)
                # both steps wrap around alike, so the sum is right even where a stored value alone would not fit
                if not np.may_share_memory(values, voxels[k]):
                    np.copyto(voxels[k], values, casting="unsafe")
                if header.rescale_intercept:
                    voxels[k] += np.int64(header.rescale_intercept).astype(voxels.dtype)
            else:
                np.multiply(values, np.float32(header.rescale_slope), out=place, dtype=np.float32)
                place += np.float32(header.rescale_intercept)
    return voxels


def _to_nobody(fraction: float, message: str) -> None:
    """The report of a part, which threads of their own read."""


def _is_decoded_in_turn(header: Header) -> bool:
    """Whether a decoder has threads of its own, or keeps what the next frame of a file needs too."""
    return _is_compressed(header) or header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian


def _is_compressed(header: Header) -> bool:
    return header.pixels is not None and header.pixels.length is None


def _decoded(
    headers: Sequence[Header], voxels: NDArray[Any], decode: FrameDecoder
) -> Generator[NDArray[Any], None, None]:
    """Stored values of the compressed slices, in order."""
    compressed = [k for k, header in enumerate(headers) if _is_compressed(header)]
    return decode([encoded_frame(headers[k]) for k in compressed], [voxels[k] for k in compressed])


def _on_grid(slices: NDArray[Any], series: Series) -> NDArray[Any]:
    """Slices as they were read, `(n, rows, columns)`, on the grid of the volume. What no slice covers is least."""
    if series.resampling is not None:
        return series.resampling.apply(slices, float(slices.min()))
    if len(slices) == series.geometry.shape[0]:
        return slices
    padded = volume_array(series.geometry.shape, slices.dtype)
    padded[...] = slices.min()
    padded[list(series.indices)] = slices
    return padded


def _holding(voxels: NDArray[Any], values: NDArray[Any], header: Header) -> NDArray[Any]:
    """`voxels`, in a wider type if its own does not hold stored `values` with their intercept.

    A look at all values takes a third of the time in which they are read, so it is saved where any value would do.
    """
    intercept = int(header.rescale_intercept)
    low, high = (end + intercept for end in stored_range(header))
    least, greatest = _bounds(voxels.dtype)
    if low < least:
        low = int(values.min()) + intercept
    if greatest < high:
        high = int(values.max()) + intercept
    if least <= low and high <= greatest:
        return voxels
    return voxels.astype(np.int32 if low >= -(2**31) and high < 2**31 else np.int64)


@cache
def _bounds(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


class StoredSlices:
    """Reads stored values of uncompressed slices, without new memory for each, and keeps what is odd about them."""

    def __init__(self) -> None:
        self._buffer: NDArray[Any] = np.empty((0, 0), np.uint8)
        self._foreign_bits: list[str] = []
        self._frames = InflatedFrames()

    def read(self, header: Header, place: NDArray[Any]) -> NDArray[Any]:
        """Values of a slice, within the bits that are stored.

        Args:
            header: Of the slice.
            place: `(rows, columns)` array; the values are in it where it has their size, and elsewhere otherwise.
        """
        values = self._room(header, place)
        try:
            read_uncompressed(header, values, self._frames)
        except OSError as error:
            raise Unreadable(f"{header.name} could not be read ({error.strerror}); was it moved meanwhile?") from error
        return values if _within_stored_bits(header, values) else self._cut_off(header, values)

    def take_note_of(self, others: StoredSlices) -> None:
        """Keep what is odd about slices that come after these, and were read by another."""
        self._foreign_bits += others._foreign_bits

    def warnings(self) -> list[str]:
        if not self._foreign_bits:
            return []
        count = len(self._foreign_bits)
        return [
            f"bits above BitsStored (0028,0101) are set, perhaps by an overlay; they were cut off "
            f"({count} slices, the first is {self._foreign_bits[0]})"
        ]

    def _room(self, header: Header, place: NDArray[Any]) -> NDArray[Any]:
        dtype = stored_dtype(header)
        if place.dtype.kind == "i" and place.itemsize == dtype.itemsize:
            return place.view(dtype)  # what is read without a sign becomes right when the intercept is added
        if self._buffer.shape != place.shape or self._buffer.dtype != dtype:
            self._buffer = np.empty(place.shape, dtype)
        return self._buffer

    def _cut_off(self, header: Header, values: NDArray[Any]) -> NDArray[Any]:
        unused = header.bits_allocated - header.bits_stored
        # shifting up and back drops foreign bits and, for signed pixels, extends the sign
        inside: NDArray[Any] = np.right_shift(np.left_shift(values, unused), unused)
        # a negative value whose sign was not extended has no foreign bits
        plain = inside & values.dtype.type((1 << header.bits_stored) - 1)
        if ((values != inside) & (values != plain)).any():
            self._foreign_bits.append(header.name)
        return inside


def _within_stored_bits(header: Header, values: NDArray[Any]) -> bool:
    least, greatest = stored_range(header)
    if _bounds(values.dtype) == (least, greatest):
        return True
    return bool(values.max() <= greatest) and (values.dtype.kind == "u" or bool(least <= values.min()))


def stored_range(header: Header) -> tuple[int, int]:
    """Least and greatest value that the bits of a slice can hold."""
    if header.signed:
        return -(1 << (header.bits_stored - 1)), (1 << (header.bits_stored - 1)) - 1
    return 0, (1 << header.bits_stored) - 1
