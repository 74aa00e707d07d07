"""From a series to a volume: the pixels, each in its place and in its unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder

from dlp_lab.dicom.header import Header
from dlp_lab.dicom.series import Series
from dlp_lab.errors import Malformed, NoDecoder, Truncated, Unreadable
from dlp_lab.volume import Volume


def read_volume(series: Series, report: Callable[[float, str], None] = lambda fraction, message: None) -> Volume:
    """Read the pixels of a series as real-world values.

    Every slice is rescaled by its own RescaleSlope and RescaleIntercept. The result is integer (int16 if all values
    fit, else the next wider type that holds them) when all slopes are 1 and all intercepts whole, so that no value
    changes; float32 otherwise.

    Args:
        series: From `one_series`.
        report: Called with the fraction read and the step's name.

    Returns:
        `(k, j, i)` volume in the unit of the series.

    Raises:
        NoDecoder: No decoder is installed for the transfer syntax.
        Truncated: A file ends before its pixels do.
        Malformed: The pixels cannot be decoded.
        Unreadable: A file cannot be opened any more.
    """
    exact = all(header.rescale_slope == 1 and header.rescale_intercept % 1 == 0 for header in series.headers)
    shape = len(series.headers), series.first.rows, series.first.columns
    voxels: NDArray[Any] = np.empty(shape, dtype=np.int16 if exact else np.float32)
    for k, header in enumerate(series.headers):
        report(k / len(series.headers), f"reading slice {k + 1} of {len(series.headers)}")
        stored = _stored_values(header)
        if exact:
            intercept = int(header.rescale_intercept)
            voxels = _holding(voxels, int(stored.min()) + intercept, int(stored.max()) + intercept)
            # both steps wrap around alike, so the sum is right even where a stored value alone would not fit
            voxels[k] = stored.astype(voxels.dtype, copy=False)
            voxels[k] += np.int64(intercept).astype(voxels.dtype)
        else:
            np.multiply(stored, np.float32(header.rescale_slope), out=voxels[k], dtype=np.float32)
            voxels[k] += np.float32(header.rescale_intercept)
    report(1.0, "read")
    return Volume(
        voxels=_on_grid(voxels, series),
        geometry=series.geometry,
        unit=series.first.unit,
        modality=series.first.modality,
        source_series_uid=series.first.series_instance_uid or None,
        warnings=series.warnings,
    )


def _on_grid(slices: NDArray[Any], series: Series) -> NDArray[Any]:
    """Slices as they were read, `(n, rows, columns)`, on the grid of the volume. What no slice covers is least."""
    if series.resampling is not None:
        return series.resampling.apply(slices, float(slices.min()))
    if len(slices) == series.geometry.shape[0]:
        return slices
    padded = np.full(series.geometry.shape, slices.min(), slices.dtype)
    padded[list(series.indices)] = slices
    return padded


def _holding(voxels: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """`voxels`, in a wider type if its own does not hold `low` and `high`."""
    dtype = next(
        dtype
        for dtype in (voxels.dtype, np.dtype(np.int32), np.dtype(np.int64))
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max
    )
    return voxels.astype(dtype, copy=False)


def _stored_values(header: Header) -> NDArray[Any]:
    """Decoded pixels of one file, `(rows, columns)`, with what lies above BitsStored cut off."""
    name = header.path.name
    try:
        ds = pydicom.dcmread(header.path, force=header.without_preamble)
        if "TransferSyntaxUID" not in ds.file_meta:
            ds.file_meta.TransferSyntaxUID = header.transfer_syntax_uid
        pixels = ds.pixel_array
    except (NotImplementedError, RuntimeError) as error:
        if _decodable(header):
            raise Malformed(f"{name}: its {header.transfer_syntax_uid.name} pixels cannot be decoded") from error
        raise NoDecoder(
            f"{name} is encoded as {header.transfer_syntax_uid.name}, for which no decoder is installed; convert the "
            "series to an uncompressed transfer syntax first"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise Unreadable(f"{name} could not be read ({error.strerror}); was it moved meanwhile?") from error
        # pydicom and its decoders raise many kinds of exception on broken pixels; all mean the same to the user
        if not header.transfer_syntax_uid.is_encapsulated and _is_short(header):
            raise Truncated(f"{name} ends before its pixels do (PixelData (7FE0,0010)); export it again") from error
        raise Malformed(f"{name}: its pixels cannot be decoded ({type(error).__name__}); export it again") from error
    if pixels.shape != (header.rows, header.columns):
        raise Malformed(f"{name}: {header.rows} x {header.columns} pixels were declared, {pixels.shape} were decoded")
    unused = header.bits_allocated - header.bits_stored
    if unused and not header.transfer_syntax_uid.is_encapsulated:
        # shifting up and back drops foreign bits (overlays) and, for signed pixels, extends the sign
        pixels = np.right_shift(np.left_shift(pixels, unused), unused)
    return pixels


def _decodable(header: Header) -> bool:
    try:
        decoder = get_decoder(header.transfer_syntax_uid)
    except NotImplementedError:
        return False
    return bool(decoder.is_available)


def _is_short(header: Header) -> bool:
    try:
        ds = pydicom.dcmread(header.path, force=header.without_preamble)
    except EOFError:
        return True
    return len(ds.get("PixelData") or b"") < header.slice_bytes
