"""Quirks of the pixels: lengths, bits, transfer syntaxes and bombs."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from imagecodecs import jpeg8_encode
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.dicom.quirks.verdict import (
    Accepted,
    Quirk,
    Refused,
    changed,
    edited,
    in_slice,
    plain,
    resaved,
    rewritten,
    setting,
)
from tests.phantom import Phantom, write_phantom_series

MEDIUM = (3, 40, 48)
_HTJ2K = base64.b64decode(
    "/0//UQApQAAAAAAGAAAABQAAAAAAAAAAAAAABgAAAAUAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQ"
    "kJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAD8AAf+TwAAm7fsFB3QAAADAABLAABMAOAGHdADu/gKHdADAABGAK3MAwAAq"
    "QEgE+YCP4It2AP/Z"
)
"""5 x 6 unsigned 16-bit values, each 37 more than the one before, written by OpenJPH."""


def compressed(path: Path, frame: bytes, transfer_syntax: UID, **attributes: object) -> None:
    """Put a frame, whatever it is, into a file."""

    def edit(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = transfer_syntax
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR = "OB"
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    resaved(path, edit)


def frame_of(path: Path) -> bytes:
    """The compressed image of a file."""
    return next(pydicom.encaps.generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def reframed(path: Path, change) -> None:
    """Change the compressed image of a file."""
    compressed(path, change(frame_of(path)), pydicom.dcmread(path).file_meta.TransferSyntaxUID)


def jpeg_size(rows: int, columns: int, precision: int | None = None):
    """Change the size in a frame header of JPEG or JPEG-LS."""

    def change(frame: bytes) -> bytes:
        place = min(found for marker in (0xC0, 0xC3, 0xF7) if (found := frame.find(bytes((0xFF, marker)))) > 0)
        bits = frame[place + 4] if precision is None else precision
        return frame[: place + 4] + struct.pack(">BHH", bits, rows, columns) + frame[place + 9 :]

    return change


def j2k_grid(columns: int, rows: int, tile_columns: int, tile_rows: int):
    """Change image and tile size in the SIZ of a JPEG 2000 codestream."""
    return lambda frame: frame[:8] + struct.pack(">IIIIII", columns, rows, 0, 0, tile_columns, tile_rows) + frame[32:]


def _htj2k(folder: Path) -> Phantom:
    values = (np.arange(30).reshape(5, 6) * 37).astype("<i2")

    def known(k: int, ds: Dataset) -> None:
        ds.PixelRepresentation, ds.PixelData = 0, values.tobytes()

    phantom = write_phantom_series(folder, modality="MR", edit=known)
    for path in phantom.files:
        compressed(path, _HTJ2K, HTJ2KLossless)
    phantom.values[:] = values
    return phantom


def make_jpeg_lossless(folder: Path, phantom: Phantom) -> None:
    """Encode by GDCM, for pydicom has no encoder."""
    for path in phantom.files:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()


def _jpeg_baseline(folder: Path) -> None:
    from io import BytesIO

    from PIL import Image

    image = BytesIO()
    Image.fromarray(np.arange(40 * 48, dtype=np.uint8).reshape(40, 48) % 200).save(image, "JPEG", quality=90)
    for path in write_phantom_series(folder, modality="MR", shape=MEDIUM).files:
        bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
        compressed(path, image.getvalue(), JPEGBaseline8Bit, **bits)


def _near_lossless(folder: Path) -> None:
    for path in write_phantom_series(folder, modality="MR", shape=MEDIUM).files:
        resaved(path, lambda ds: ds.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False))


def _many_scans(folder: Path) -> None:
    from io import BytesIO

    from PIL import Image

    image = BytesIO()
    Image.fromarray(np.full((512, 512), 77, np.uint8)).save(image, "JPEG", progressive=True)
    frame = image.getvalue()
    last = frame[frame.rindex(b"\xff\xda") : -2]
    for path in write_phantom_series(folder, modality="MR", shape=(2, 512, 512)).files:
        bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
        compressed(path, frame[:-2] + 60_000 * last + frame[-2:], UID("1.2.840.10008.1.2.4.55"), **bits)


def _lossy_jpeg(transfer_syntax: UID, **attributes: object):
    """A series of images of 12 bits, encoded with loss."""
    values = (1000 + 20 * np.arange(MEDIUM[2]) + np.zeros((MEDIUM[1], 1))).astype(np.uint16)
    bits = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, **attributes}

    def build(folder: Path) -> None:
        frame = jpeg8_encode(values, level=95, bitspersample=12)
        for path in write_phantom_series(folder, modality="MR", shape=MEDIUM).files:
            compressed(path, frame, transfer_syntax, **bits)

    return build


def first(change):
    """Change the first file."""
    return lambda folder, phantom: change(phantom.files[0])


def reframe(change):
    """Change the compressed image of the first file."""
    return lambda folder, phantom: reframed(phantom.files[0], change)


def _pixels(change):
    def edit(ds: Dataset) -> None:
        ds.PixelData = change(ds.PixelData)

    return edit


def _all_pixels(change):
    return lambda folder, phantom: [resaved(path, _pixels(change)) for path in phantom.files]


def _fewer_bits(high: int):
    def edit(k: int, ds: Dataset) -> None:
        ds.BitsStored, ds.HighBit = 12, 11
        ds.PixelData = ((np.frombuffer(ds.PixelData, "<i2") & 0x0FFF) | high).astype("<u2").tobytes()

    return edit


def _eight_bits(k: int, ds: Dataset) -> None:
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.arange(30, dtype=np.uint8).tobytes()


def _deflated(path: Path, change) -> None:
    """Change what was deflated."""

    def rewrite(content: bytes) -> bytes:
        start = 132 + 12 + struct.unpack_from("<L", content, 140)[0]
        inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS)
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return content[:start] + deflater.compress(change(inflated)) + deflater.flush()

    rewritten(path, rewrite)


def _bomb_before_pixels(inflated: bytes) -> bytes:
    place = inflated.rindex(b"\xe0\x7f\x10\0OW")
    zeros = 300 * 2**20
    return inflated[:place] + b"\x19\0\x02\x10OB\0\0" + struct.pack("<L", zeros) + bytes(zeros) + inflated[place:]


def _bomb_in_pixels(inflated: bytes) -> bytes:
    place = inflated.rindex(b"\xe0\x7f\x10\0OW")
    return inflated[:place] + b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<L", 300 * 2**20) + bytes(300 * 2**20)


def _sparse_tail(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, 2) + 500 * 2**20)


def _rle_of_zeros(frame: bytes) -> bytes:
    """64 MiB that would decode to 4 GiB."""
    return frame[:64] + b"\x81\0" * (32 * 2**20)


PIXELS: dict[str, Quirk] = {
    "implicit VR": plain(Accepted(), transfer_syntax=ImplicitVRLittleEndian),
    "big endian": plain(Accepted(), transfer_syntax=ExplicitVRBigEndian),
    "deflated": plain(Accepted(), transfer_syntax=DeflatedExplicitVRLittleEndian),
    "RLE": plain(Accepted(), modality="MR", transfer_syntax=RLELossless),
    "JPEG-LS": plain(Accepted(), modality="MR", transfer_syntax=JPEGLSLossless, shape=MEDIUM),
    "JPEG 2000": plain(Accepted(), modality="MR", transfer_syntax=JPEG2000Lossless, shape=MEDIUM),
    "High-Throughput JPEG 2000": Quirk(_htj2k, Accepted()),
    "JPEG lossless": changed(make_jpeg_lossless, Accepted(), modality="MR", shape=MEDIUM),
    "JPEG baseline": Quirk(_jpeg_baseline, Accepted("compressed with loss")),
    "near-lossless JPEG-LS": Quirk(_near_lossless, Accepted("compressed with loss")),
    "12-bit JPEG": Quirk(_lossy_jpeg(JPEGExtended12Bit), Accepted("compressed with loss")),
    "12-bit JPEG of a retired syntax": Quirk(
        _lossy_jpeg(UID("1.2.840.10008.1.2.4.55")), Accepted("compressed with loss")
    ),
    "12-bit JPEG that is said to have a sign": Quirk(
        _lossy_jpeg(JPEGExtended12Bit, PixelRepresentation=1), Refused("UNSUPPORTED_PIXELS")
    ),
    "JPEG of 60 000 scans": Quirk(_many_scans, Refused("MALFORMED")),
    "lost precision earlier": edited(setting(LossyImageCompression="01"), Accepted("compressed with loss")),
    "an unknown transfer syntax": changed(
        first(lambda path: compressed(path, b"\0" * 60, UID("1.2.840.10008.1.2.4.54"))), Refused("NO_DECODER")
    ),
    "MONOCHROME1": edited(setting(PhotometricInterpretation="MONOCHROME1"), Accepted("MONOCHROME1")),
    "12 of 16 bits": edited(_fewer_bits(0), Accepted(), modality="MR"),
    "an overlay above BitsStored": edited(_fewer_bits(0x5000), Accepted("bits above BitsStored"), modality="MR"),
    "a high bit in the middle": edited(setting(HighBit=11), Refused("UNSUPPORTED_PIXELS")),
    "12 bits allocated": edited(setting(BitsAllocated=12), Refused("UNSUPPORTED_PIXELS")),
    "8 bits": Quirk(lambda folder: write_phantom_series(folder, edit=_eight_bits) and None, Accepted()),
    "a slope of its own for each slice": plain(Accepted(), modality="PT"),
    "no PixelData": edited(in_slice(3, setting(PixelData=None)), Refused("TRUNCATED")),
    "floating point pixels": edited(
        in_slice(3, lambda k, ds: (setattr(ds, "FloatPixelData", b"\0" * 120), delattr(ds, "PixelData"))),
        Refused("UNSUPPORTED_PIXELS"),
    ),
    "a file that ends before its pixels do": changed(
        first(lambda path: rewritten(path, lambda content: content[:-20])), Refused("TRUNCATED")
    ),
    "PixelData shorter than the image": changed(
        first(lambda path: resaved(path, _pixels(lambda pixels: pixels[:-20]))), Refused("TRUNCATED")
    ),
    "PixelData padded with zeros": changed(
        _all_pixels(lambda pixels: pixels + bytes(30)), Accepted("longer than the image")
    ),
    "PixelData with more than the image": changed(
        _all_pixels(lambda pixels: pixels + pixels[:12]), Refused("MALFORMED")
    ),
    "PixelData with room for two images": changed(_all_pixels(lambda pixels: pixels * 2), Refused("MALFORMED")),
    "zeros after the pixels": changed(
        lambda folder, phantom: [rewritten(path, lambda content: content + bytes(1000)) for path in phantom.files],
        Accepted(),
    ),
    "500 MiB after the pixels": changed(first(_sparse_tail), Accepted()),
    "40000 x 40000 pixels": edited(setting(Rows=40000, Columns=40000), Refused("TOO_LARGE")),
    "deflated zeros before the pixels": changed(
        first(lambda path: _deflated(path, _bomb_before_pixels)),
        Refused("TOO_LARGE"),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
    ),
    "deflated zeros in the pixels": changed(
        first(lambda path: _deflated(path, _bomb_in_pixels)),
        Refused("MALFORMED"),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
    ),
    "deflated zeros after the pixels": changed(
        first(lambda path: _deflated(path, lambda inflated: inflated + bytes(300 * 2**20))),
        Accepted(),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
    ),
    "deflated data that is cut off": changed(
        first(lambda path: rewritten(path, lambda content: content[:-100])),
        Refused("TRUNCATED"),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
        shape=(3, 64, 64),  # so that the cut is far behind the header, however well that is packed
    ),
    "RLE that decodes to too much": changed(
        reframe(_rle_of_zeros), Refused("MALFORMED"), modality="MR", transfer_syntax=RLELossless
    ),
    "RLE that decodes to too little": changed(
        reframe(lambda frame: frame[:70]), Refused("MALFORMED"), modality="MR", transfer_syntax=RLELossless
    ),
    "RLE with 15 segments": changed(
        reframe(lambda frame: b"\x0f" + frame[1:]), Refused("MALFORMED"), modality="MR", transfer_syntax=RLELossless
    ),
}
