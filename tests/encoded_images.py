"""Images in every compressed transfer syntax that is read, encoded by imagecodecs and pydicom."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from imagecodecs import htj2k_encode, jpeg2k_encode, jpeg8_encode
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.dicom.unchanged_file import FileState

Encode = Callable[[np.ndarray, int], bytes]
"""From values and the number of bits they use."""


@dataclass(frozen=True)
class Syntax:
    """A transfer syntax.

    Attributes:
        uid: Its UID.
        encode: Makes an image of it.
        error: By how much values may differ afterwards; 0 without loss.
    """

    uid: str
    encode: Encode
    error: int = 0


def _unsigned(values: np.ndarray, bits: int) -> np.ndarray:
    """The low `bits` of the values, as codecs take them that know no sign."""
    return values.view(f"u{values.itemsize}") & np.array((1 << bits) - 1, f"u{values.itemsize}")


def _by_pydicom(uid: str, **options: object) -> Encode:
    return lambda values, bits: get_encoder(UID(uid)).encode(
        values,
        rows=values.shape[0],
        columns=values.shape[1],
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=8 * values.itemsize,
        bits_stored=bits,
        pixel_representation=int(values.dtype.kind == "i"),
        photometric_interpretation="MONOCHROME2",
        **options,
    )


def _jpeg(values: np.ndarray, bits: int) -> bytes:
    return jpeg8_encode(values, level=97, bitspersample=bits)


def _jpeg_lossless(predictor: int) -> Encode:
    return lambda values, bits: jpeg8_encode(
        _unsigned(values, bits), lossless=True, predictor=predictor, bitspersample=bits
    )


def _jpeg_2000(values: np.ndarray, bits: int) -> bytes:
    return jpeg2k_encode(values, level=0, reversible=True, codecformat="j2k", bitspersample=bits)


def _jpeg_2000_with_loss(values: np.ndarray, bits: int) -> bytes:
    return jpeg2k_encode(values, level=70, reversible=False, codecformat="j2k", bitspersample=bits)


def _htj2k(values: np.ndarray, bits: int) -> bytes:
    return htj2k_encode(values, reversible=True)


RLE, JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
SYNTAXES = {
    "RLE": Syntax(RLE, _by_pydicom(RLE)),
    "JPEG extended": Syntax("1.2.840.10008.1.2.4.51", _jpeg, error=12),
    "JPEG full progression": Syntax("1.2.840.10008.1.2.4.55", _jpeg, error=12),
    "JPEG lossless": Syntax("1.2.840.10008.1.2.4.57", _jpeg_lossless(6)),
    "JPEG lossless of first order": Syntax("1.2.840.10008.1.2.4.70", _jpeg_lossless(1)),
    "JPEG-LS": Syntax(JPEG_LS, _by_pydicom(JPEG_LS)),
    "near-lossless JPEG-LS": Syntax(JPEG_LS_NEAR, _by_pydicom(JPEG_LS_NEAR, jls_error=2), error=2),
    "JPEG 2000 lossless": Syntax("1.2.840.10008.1.2.4.90", _jpeg_2000),
    "JPEG 2000": Syntax("1.2.840.10008.1.2.4.91", _jpeg_2000_with_loss, error=8),
    "HTJ2K lossless": Syntax("1.2.840.10008.1.2.4.201", _htj2k),
    "HTJ2K lossless RPCL": Syntax("1.2.840.10008.1.2.4.202", _htj2k),
    "HTJ2K": Syntax(
        "1.2.840.10008.1.2.4.203", lambda values, bits: htj2k_encode(values, level=0.0001, reversible=False), error=16
    ),
}


def noisy_image(bits: int, *, signed: bool = False, allocated: int = 16, rows: int = 61, columns: int = 70):
    """A disc on a ground, both noisy, that fills the range of `bits`; its last row is not zero."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[:rows, :columns]
    disc = ((x - columns / 2) ** 2 + (y - rows / 2) ** 2) < (rows / 3) ** 2
    values = (1 << bits) * (0.2 + 0.5 * disc) + rng.normal(size=(rows, columns)) * (1 << bits) / 200
    values[0, :2] = 0, (1 << bits) - 1
    values = values.clip(0, (1 << bits) - 1).astype(np.int64) - (signed << (bits - 1))
    return values.astype(f"{'i' if signed else 'u'}{allocated // 8}")


def stored_frame(path: Path, uid: str, encoded: bytes, values: np.ndarray, bits: int) -> EncodedFrame:
    """Write an encoded image, alone in a file, and say what it must decode to."""
    path.write_bytes(encoded)
    return EncodedFrame(
        name=path.name,
        path=os.fsencode(path),
        state=FileState.from_status(path.stat()),
        offset=0,
        fragments=((0, len(encoded)),),
        transfer_syntax_uid=uid,
        rows=values.shape[0],
        columns=values.shape[1],
        bits_allocated=8 * values.itemsize,
        bits_stored=bits,
        signed=values.dtype.kind == "i",
    )
