"""The decoders of compressed images: libjpeg-turbo, CharLS, OpenJPEG and OpenJPH, as imagecodecs binds them.

All of them let other threads run meanwhile, and decode into memory that is given to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imagecodecs import htj2k_decode, jpeg2k_decode, jpeg8_decode, jpegls_decode
from numpy.typing import NDArray

from dlp_lab.dicom.codestream import Codestream, Coding


def decode(encoded: bytes, codestream: Codestream, out: NDArray[Any]) -> None:
    """Decode an image of one component.

    Args:
        encoded: As in the file.
        codestream: What it says of itself. Its precision is that of `out`, or less.
        out: Contiguous `(rows, columns)` array of integers; it gets the values. Where it and the codestream do not
            agree on whether there is a sign, the encoded bits are taken for what `out` says (PS3.5 8.2.1 and 8.2.4).

    Raises:
        ImportError: The build of imagecodecs lacks the decoder.
        Exception: It cannot be decoded; each decoder raises kinds of its own.
    """
    size = next(size for size in (1, 2, 4) if codestream.precision <= 8 * size)
    dtype = np.dtype(f"{'i' if codestream.signed else 'u'}{size}")
    decoded = out.view(dtype) if size == out.itemsize else np.empty(out.shape, dtype)
    _call(encoded[codestream.start :], codestream, decoded)
    if size != out.itemsize:
        out[...] = decoded
    unused = 8 * out.itemsize - codestream.precision
    if unused and bool(codestream.signed) != (out.dtype.kind == "i"):
        # shifting up and back extends the sign, or drops it
        np.left_shift(out, unused, out=out)
        np.right_shift(out, unused, out=out)


def _call(source: bytes, codestream: Codestream, out: NDArray[Any]) -> None:
    match codestream.coding:
        case Coding.JPEG | Coding.JPEG_LOSSLESS:
            jpeg8_decode(source, out=out)
        case Coding.JPEG_LS:
            jpegls_decode(source, out=out)
        case Coding.JPEG_2000:
            jpeg2k_decode(source, out=out, numthreads=1)  # images are decoded side by side already
        case Coding.HIGH_THROUGHPUT:
            _decode_high_throughput(source, out)


class _Unfilled(np.ndarray[Any, np.dtype[Any]]):
    """An array that imagecodecs cannot clear before it decodes into it."""

    keeps_content = False

    def fill(self, value: object) -> None:
        self.keeps_content = True


def _decode_high_throughput(source: bytes, out: NDArray[Any]) -> None:
    """Decode by OpenJPH, twice as fast as OpenJPEG, which decodes again what the former may not have finished.

    imagecodecs swallows what OpenJPH raises on the way, and the rest of the rows stays as it was.
    """
    blank = np.iinfo(out.dtype).max
    out[-1] = blank
    unfilled = out.view(_Unfilled)
    htj2k_decode(source, out=unfilled)
    if (out[-1] == (blank if unfilled.keeps_content else 0)).all():
        jpeg2k_decode(source, out=out, numthreads=1)
