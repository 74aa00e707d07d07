"""Quirks of compressed images: what they say of themselves, and what they lack."""

from __future__ import annotations

from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.dicom.quirks.pixels import MEDIUM, first, j2k_grid, jpeg_size, make_jpeg_lossless, reframe, reframed
from tests.dicom.quirks.verdict import Quirk, Refused, changed, rewritten

CODESTREAMS: dict[str, Quirk] = {}


def _broken(name: str, change, code: str, transfer_syntax: UID = JPEG2000Lossless) -> None:
    CODESTREAMS[name] = changed(
        reframe(change), Refused(code), modality="MR", shape=MEDIUM, transfer_syntax=transfer_syntax
    )


_broken("JPEG 2000 of 30000 x 30000", j2k_grid(30000, 30000, 30000, 30000), "MALFORMED")
_broken("JPEG 2000 of 1920 tiles", j2k_grid(48, 40, 1, 1), "MALFORMED")
_broken("JPEG 2000 of 4 billion x 4 billion", j2k_grid(2**32 - 1, 2**32 - 1, 1, 1), "MALFORMED")
_broken("JPEG 2000 of 38 bits", lambda frame: frame[:42] + b"\x25" + frame[43:], "MALFORMED")
_broken("JPEG 2000 that ends within SIZ", lambda frame: frame[:30], "MALFORMED")
_broken("JPEG 2000 whose data is cut off", lambda frame: frame[:140], "MALFORMED")
_broken("JPEG 2000 whose last bytes are missing", lambda frame: frame[:-40], "MALFORMED")
_broken("JPEG-LS whose last bytes are missing", lambda frame: frame[:-40], "MALFORMED", JPEGLSLossless)
_broken("JPEG-LS of 60000 x 60000", jpeg_size(60000, 60000), "MALFORMED", JPEGLSLossless)
_broken("JPEG-LS of 12 bits, its sign unknown", jpeg_size(40, 48, 12), "UNSUPPORTED_PIXELS", JPEGLSLossless)
_broken("JPEG-LS with two frame headers", lambda frame: frame[:2] + 2 * frame[2:15] + frame[15:], "MALFORMED",
        JPEGLSLossless)  # fmt: skip
_broken("JPEG-LS that is no JPEG", lambda frame: b"\0" * 200, "MALFORMED", JPEGLSLossless)

CODESTREAMS["JPEG lossless of 60000 x 60000"] = changed(
    lambda folder, phantom: (make_jpeg_lossless(folder, phantom), reframed(phantom.files[0], jpeg_size(60000, 60000))),
    Refused("MALFORMED"),
    modality="MR",
    shape=MEDIUM,
)
CODESTREAMS["compressed pixels of defined length"] = changed(
    first(
        lambda path: rewritten(
            path, lambda content: content.replace(ExplicitVRLittleEndian.encode(), RLELossless.encode())
        )
    ),
    Refused("MALFORMED"),
)
CODESTREAMS["JPEG lossless whose last bytes are missing"] = changed(
    lambda folder, phantom: (
        make_jpeg_lossless(folder, phantom),
        reframed(phantom.files[0], lambda frame: frame[:-60]),
    ),
    Refused("MALFORMED"),
    modality="MR",
    shape=MEDIUM,
)
