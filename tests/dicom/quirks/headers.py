"""Quirks of a header: wrong VRs, wrong numbers, missing parts, and what breaks a parser."""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.dicom.quirks.verdict import Accepted, Edit, Quirk, Refused, changed, edited, rewritten, setting
from tests.phantom import Phantom

_PIXEL_DATA = b"\xe0\x7f\x10\0OW\0\0"
_PRIVATE = b"\x19\0\x02\x10"
_UNDEFINED = b"\xff\xff\xff\xff"


def wrong_vr(keyword: str, vr: str, value: object) -> Edit:
    """An element under another VR than its own."""

    def edit(k: int, ds: Dataset) -> None:
        ds.add_new(pydicom.datadict.tag_for_keyword(keyword), vr, value)

    return edit


def _each(change):
    def apply(folder: Path, phantom: Phantom) -> None:
        for path in phantom.files:
            rewritten(path, change)

    return apply


def _third(change):
    return lambda folder, phantom: rewritten(phantom.files[2], change)


def _before_pixels(inserted: bytes):
    def change(content: bytes) -> bytes:
        place = content.rindex(_PIXEL_DATA)
        return content[:place] + inserted + content[place:]

    return change


def _no_meta(content: bytes) -> bytes:
    return content[content.index(b"\x08\0\x05\0CS") :]


def _no_preamble(content: bytes) -> bytes:
    return content[132:]


def _lying_group_length(content: bytes) -> bytes:
    # (0002,0000) UL says how long the file meta information is
    return content[:140] + struct.pack("<L", 0x7FFFFFFF) + content[144:]


def _lying_data_set_group_length(content: bytes) -> bytes:
    place = content.index(b"\x08\0\x05\0CS")
    return content[:place] + b"\x08\0\0\0UL\x04\0" + struct.pack("<L", 3) + content[place:]


def nested(depth: int, defined: bool) -> bytes:
    """A private sequence in a sequence in a sequence."""
    if not defined:
        start = _PRIVATE + b"SQ\0\0" + _UNDEFINED + b"\xfe\xff\x00\xe0" + _UNDEFINED
        end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
        return start * depth + end * depth
    content = b""
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(content)) + content
        content = _PRIVATE + b"SQ\0\0" + struct.pack("<L", len(item)) + item
    return content


def _implicit_rows_of_4_gib(content: bytes) -> bytes:
    place = content.index(b"\x28\0\x10\0")
    return content[:place] + b"\x28\0\x10\0" + struct.pack("<L", 0xFFFFFFF0) + content[place + 8 :]


_ROWS = b"\x28\0\x10\0US\x02\0\x05\0"


def _rows_as(element: bytes):
    return _each(lambda content: content.replace(_ROWS, b"\x28\0\x10\0" + element, 1))


HEADERS: dict[str, Quirk] = {
    "no preamble and no file meta information": changed(_each(_no_meta), Accepted("without the DICOM preamble")),
    "no preamble": changed(_each(_no_preamble), Accepted("without the DICOM preamble")),
    "no preamble in implicit VR": changed(
        _each(lambda content: content[content.index(b"\x08\0\x05\0\x0a") :]),
        Accepted("without the DICOM preamble"),
        transfer_syntax=ImplicitVRLittleEndian,
    ),
    "a text in the preamble": changed(_each(lambda content: b"II*\0" * 32 + content[128:]), Accepted()),
    "a file meta information of a wrong length": changed(_each(_lying_group_length), Accepted()),
    "a group of a wrong length": changed(_each(_lying_data_set_group_length), Accepted()),
    "implicit VR that says it is explicit": changed(
        _each(
            lambda content: content.replace(b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0", 1).replace(
                b"UI\x12\x001.2.840.10008.1.2.1\0", b"UI\x14\x001.2.840.10008.1.2.1\0", 1
            )
        ),
        Accepted(),
        transfer_syntax=ImplicitVRLittleEndian,
    ),
    "cut off after 200 bytes": changed(_third(lambda content: content[:200]), Refused("MALFORMED")),
    "cut off after 900 bytes": changed(_third(lambda content: content[:900]), Refused("MALFORMED")),
    "nothing after the preamble": changed(_third(lambda content: content[:132]), Refused("MALFORMED")),
    "nonsense after the preamble": changed(
        _third(lambda content: content[:132] + b"\xff" * 60 + content[192:]), Refused("MALFORMED")
    ),
    "sequences 100 deep": changed(_each(_before_pixels(nested(100, False))), Accepted()),
    "sequences 3000 deep": changed(_third(_before_pixels(nested(3000, False))), Refused("MALFORMED")),
    "sequences 3000 deep, of defined length": changed(_each(_before_pixels(nested(3000, True))), Accepted()),
    "a sequence that never ends": changed(
        _third(_before_pixels(_PRIVATE + b"SQ\0\0" + _UNDEFINED)), Refused("MALFORMED")
    ),
    "an element longer than the file": changed(
        _third(_before_pixels(_PRIVATE + b"OB\0\0\xf0\xff\xff\xff")), Refused("TRUNCATED")
    ),
    "Rows of 4 GiB": changed(
        _third(_implicit_rows_of_4_gib), Refused("MALFORMED"), transfer_syntax=ImplicitVRLittleEndian
    ),
    "150 000 elements before the pixels": changed(
        _third(_before_pixels(b"\x19\0\x02\x10LO\0\0" * 250_000)), Refused("TOO_LARGE")
    ),
    "Rows as UL": changed(_rows_as(b"UL\x04\0\x05\0\0\0"), Accepted()),
    "Rows as SS": changed(_rows_as(b"SS\x02\0\x05\0"), Accepted()),
    "Rows as IS": changed(_rows_as(b"IS\x02\x005 "), Accepted()),
    "Rows as text": changed(_rows_as(b"LO\x04\0many"), Refused("MALFORMED")),
    "Rows below 0": changed(_rows_as(b"SS\x02\0\xfb\xff"), Refused("MALFORMED")),
    "two Rows": changed(_rows_as(b"US\x04\0\x05\0\x05\0"), Refused("MALFORMED")),
    "no Rows": edited(setting(Rows=None), Refused("MALFORMED")),
    "ImagePositionPatient as FD": edited(
        lambda k, ds: wrong_vr("ImagePositionPatient", "FD", [float(v) for v in ds.ImagePositionPatient])(k, ds),
        Accepted(),
    ),
    "PixelSpacing as LO": edited(wrong_vr("PixelSpacing", "LO", ["0.8", "0.5"]), Accepted()),
    "PixelSpacing with a comma": changed(
        _each(lambda content: content.replace(b"0.8\\0.5 ", b"0,8\\0,5 ", 1)), Refused("MALFORMED")
    ),
    "two numbers for a position": edited(setting(ImagePositionPatient=[1, 2]), Refused("MALFORMED")),
    "a position that is not a number": changed(
        _each(lambda content: content.replace(b"0.8\\0.5 ", b"nan\\nan ", 1)), Refused("MALFORMED")
    ),
    "PixelSpacing of 0": edited(setting(PixelSpacing=[0, 0.5]), Refused("NO_GEOMETRY")),
    "parallel directions": edited(setting(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), Refused("NO_GEOMETRY")),
    "SmallestImagePixelValue as US in signed pixels": edited(
        wrong_vr("SmallestImagePixelValue", "US", 65531), Accepted()
    ),
    "PixelPaddingValue as US in signed pixels": edited(wrong_vr("PixelPaddingValue", "US", 63488), Accepted()),
    "PixelPaddingValue as SS in unsigned pixels": edited(
        lambda k, ds: (wrong_vr("PixelPaddingValue", "SS", -1)(k, ds), setattr(ds, "PixelRepresentation", 0)),
        Accepted(),
        modality="MR",
        origin_lps_mm=(0, 0, 100),
    ),
    "an unknown character set": edited(setting(SpecificCharacterSet="ISO_IR 999"), Accepted()),
    "empty UIDs in the data set": changed(
        _each(
            lambda content: (
                content[: content.index(b"\x08\0\x05\0CS")]
                + content[content.index(b"\x08\0\x05\0CS") :].replace(
                    b"\x08\0\x16\0UI\x1a\0" + b"1.2.840.10008.5.1.4.1.1.2\0", b"\x08\0\x16\0UI\0\0", 1
                )
            )
        ),
        Accepted("taken from the file meta information"),
        transfer_syntax=ExplicitVRLittleEndian,
    ),
    "a ModalityLUTSequence": edited(setting(ModalityLUTSequence=[Dataset()]), Refused("UNSUPPORTED_PIXELS")),
    "a slope of 0": edited(setting(RescaleSlope="0"), Refused("MALFORMED")),
    "a Siemens mosaic": edited(setting(ImageType=["ORIGINAL", "PRIMARY", "MOSAIC"]), Refused("UNSUPPORTED_SOP_CLASS")),
    "several frames": edited(setting(NumberOfFrames=4), Refused("UNSUPPORTED_SOP_CLASS")),
    "palette colour": edited(setting(PhotometricInterpretation="PALETTE COLOR"), Refused("NOT_GRAYSCALE")),
    "three samples per pixel": edited(
        setting(SamplesPerPixel=3, PhotometricInterpretation="RGB"), Refused("NOT_GRAYSCALE")
    ),
}
