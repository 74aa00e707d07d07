"""Quirks of enhanced multi-frame files."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRColorImageStorage,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.dicom.quirks.verdict import Accepted, Quirk, Refused, Verdict, resaved, rewritten
from tests.enhanced_phantom import EnhancedPhantom, save, write_enhanced_phantom

MEDIUM = (7, 40, 48)
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)

Edit = Callable[[Dataset], Any]


def enhanced(verdict: Verdict, **phantom: Any) -> Quirk:
    """An enhanced phantom made with other arguments."""
    return Quirk(lambda folder: write_enhanced_phantom(folder / "frames.dcm", **phantom), verdict)


def changed(change: Callable[[Path], object], verdict: Verdict, **phantom: Any) -> Quirk:
    """An enhanced phantom whose file was changed after it was written."""

    def build(folder: Path) -> EnhancedPhantom:
        written = write_enhanced_phantom(folder / "frames.dcm", **phantom)
        change(written.file)
        return written

    return Quirk(build, verdict)


def in_frame(number: int, edit: Edit) -> Edit:
    """Edit the item of one frame."""
    return lambda ds: edit(ds.PerFrameFunctionalGroupsSequence[number])


def in_frames(edit: Callable[[int, Dataset], object]) -> Edit:
    """Edit the items of all frames."""

    def edit_all(ds: Dataset) -> None:
        for number, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
            edit(number, item)

    return edit_all


def without(keyword: str) -> Edit:
    return lambda ds: delattr(ds, keyword)


def setting(**attributes: object) -> Edit:
    def edit(ds: Dataset) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return edit


def second_echo(number: int, item: Dataset) -> None:
    """Every other frame is of another echo, at the place of the one before."""
    item.MREchoSequence[0].EffectiveEchoTime = 12.0 if number % 2 else 30.5


def two_echoes(folder: Path) -> EnhancedPhantom:
    return write_enhanced_phantom(
        folder / "frames.dcm",
        modality="MR",
        slice_offsets_mm=[0, 0, 2.5, 2.5, 5, 5],
        shape=(6, 5, 6),
        in_order=True,
        edit=in_frames(second_echo),
    )


def two_stacks(folder: Path) -> EnhancedPhantom:
    """Two stacks of other orientations, of which the first is the phantom."""

    def turned(number: int, item: Dataset) -> None:
        if number >= 4:
            item.FrameContentSequence[0].StackID = "2"
            item.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
            item.PlanePositionSequence[0].ImagePositionPatient = [number * 3.0, 1.5, 2.5]

    return write_enhanced_phantom(
        folder / "frames.dcm", shape=(8, 5, 6), orientation="axial", in_order=True, edit=in_frames(turned)
    )


def localizer_across(number: int, item: Dataset) -> None:
    if number == 6:
        item.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
        item.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def with_localizer(folder: Path) -> None:
    write_enhanced_phantom(folder / "frames.dcm", orientation="axial", in_order=True, edit=in_frames(localizer_across))


def mixed_types(number: int, item: Dataset) -> None:
    if number % 2:
        item.CTImageFrameTypeSequence[0].FrameType = ["DERIVED", "PRIMARY", "VOLUME", "MEAN"]


def reencoded(make: Callable[[list[bytes]], dict[str, Any]]) -> Callable[[Path], None]:
    """Encapsulate the compressed frames of a file in another way."""

    def change(path: Path) -> None:
        ds = pydicom.dcmread(path)
        frames = list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))
        for keyword, value in make(frames).items():
            setattr(ds, keyword, value)
        ds["PixelData"].VR = "OB"
        ds.save_as(path)

    return change


def lying_table(frames: list[bytes]) -> dict[str, Any]:
    content = bytearray(encapsulate(frames, fragments_per_frame=2, has_bot=True))
    content[12:16] = struct.pack("<L", struct.unpack("<L", content[12:16])[0] + 2)
    return {"PixelData": bytes(content)}


def extended(frames: list[bytes]) -> dict[str, Any]:
    content, offsets, lengths = encapsulate_extended(frames)
    return {"PixelData": content, "ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}


def undefined_lengths(path: Path) -> None:
    def edit(ds: Dataset) -> None:
        for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            _undefined(ds[keyword])

    resaved(path, edit)


def _undefined(element: pydicom.DataElement) -> None:
    element.is_undefined_length = True
    for item in element.value:
        item.is_undefined_length_sequence_item = True
        for inner in item:
            if inner.VR == "SQ":
                _undefined(inner)


def halves(folder: Path, *, concatenated: bool, parts: int = 2) -> EnhancedPhantom:
    """The frames in two files, of one series."""
    written = write_enhanced_phantom(folder / "whole.dcm")
    whole = pydicom.dcmread(written.file)
    pixels = np.frombuffer(whole.PixelData, "<u2").reshape(7, 5, 6)
    written.file.unlink()
    for number, chosen in enumerate((range(0, 3), range(3, 7))[:parts]):
        part = copy.deepcopy(whole)
        part.SOPInstanceUID = generate_uid(entropy_srcs=[whole.SOPInstanceUID, str(number)])
        part.NumberOfFrames, part.InstanceNumber = len(chosen), number + 1
        part.PerFrameFunctionalGroupsSequence = [whole.PerFrameFunctionalGroupsSequence[n] for n in chosen]
        part.PixelData = pixels[list(chosen)].tobytes()
        if concatenated:
            part.ConcatenationUID = generate_uid(entropy_srcs=["concatenation"])
            part.SOPInstanceUIDOfConcatenationSource = whole.SOPInstanceUID
            part.InConcatenationNumber, part.InConcatenationTotalNumber = number + 1, 2
            part.ConcatenationFrameOffsetNumber = chosen[0]
        save(part, folder / f"{number}.dcm")
    return written


def twice(folder: Path) -> EnhancedPhantom:
    written = write_enhanced_phantom(folder / "frames.dcm")
    (folder / "again.dcm").write_bytes(written.file.read_bytes())
    return written


def per_frame_sequence(content: Callable[[bytes], bytes], *, defined: bool = False) -> Callable[[Path], None]:
    """Put other bytes in the place of PerFrameFunctionalGroupsSequence."""

    def change(whole: bytes) -> bytes:
        start = whole.index(b"\x00\x52\x30\x92SQ")
        length = struct.unpack_from("<L", whole, start + 8)[0]
        value = content(whole[start + 12 : start + 12 + length])
        rest = whole[start + 12 + length :]
        if defined:
            return whole[: start + 8] + struct.pack("<L", len(value)) + value + rest
        return whole[: start + 8] + b"\xff" * 4 + value + SEQUENCE_END + rest

    return lambda path: rewritten(path, change)


def nested(value: bytes) -> bytes:
    """Items within items, 3000 deep."""
    down = ITEM + b"\xff" * 4 + b"\x20\x00\x11\x91SQ\0\0" + b"\xff" * 4
    return down * 3000 + (SEQUENCE_END + ITEM_END) * 3000


def top_level_place(ds: Dataset) -> None:
    """A converter that left the place where single images have it."""
    item = ds.SharedFunctionalGroupsSequence[0]
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        for element in item[keyword].value[0]:
            ds.add(element)
        delattr(item, keyword)


FRAMES: dict[str, Quirk] = {
    "enhanced CT": enhanced(Accepted()),
    "enhanced MR": enhanced(Accepted(), modality="MR"),
    "enhanced PET": enhanced(Accepted(), modality="PT"),
    "converted enhanced CT": enhanced(Accepted(), legacy=True),
    "frames that share no group": enhanced(Accepted(), shared=()),
    "frames that share some groups": enhanced(Accepted(), shared=("PixelMeasuresSequence", "CTImageFrameTypeSequence")),
    "sequences of undefined length": changed(undefined_lengths, Accepted()),
    "a slope of its own for every frame": enhanced(Accepted(), slopes=[0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
    "frames of several frame types": enhanced(Accepted(), edit=in_frames(mixed_types)),
    "place at the top level": enhanced(Accepted("single slice"), shape=(1, 5, 6), before_saving=top_level_place),
    "a localizer among the frames": Quirk(with_localizer, Accepted("1 localizer images were left out")),
    "frames in two files": Quirk(lambda folder: halves(folder, concatenated=False), Accepted()),
    "a concatenation": Quirk(lambda folder: halves(folder, concatenated=True), Accepted()),
    "a part of a concatenation": Quirk(
        lambda folder: halves(folder, concatenated=True, parts=1), Refused("MISSING_SLICES")
    ),
    "a multi-frame file twice": Quirk(twice, Accepted("7 copies of images were left out")),
    "deflated frames": enhanced(Accepted(), transfer_syntax=DeflatedExplicitVRLittleEndian),
    "frames with padding behind the last": changed(
        lambda path: resaved(path, lambda ds: setattr(ds, "PixelData", ds.PixelData + bytes(8))),
        Accepted("PixelData (7FE0,0010) is longer than the image"),
    ),
    "fragments of frames, by their table": changed(
        reencoded(lambda frames: {"PixelData": encapsulate(frames, fragments_per_frame=2, has_bot=True)}),
        Accepted(),
        shape=MEDIUM,
        transfer_syntax=JPEGLSLossless,
    ),
    "frames with an extended offset table": changed(
        reencoded(extended), Accepted(), shape=MEDIUM, transfer_syntax=RLELossless
    ),
    "fragments of frames without a table": changed(
        reencoded(lambda frames: {"PixelData": encapsulate(frames, fragments_per_frame=2, has_bot=False)}),
        Refused("UNSUPPORTED_PIXELS"),
        shape=MEDIUM,
        transfer_syntax=JPEGLSLossless,
    ),
    "an offset table that lies": changed(
        reencoded(lying_table), Refused("MALFORMED"), shape=MEDIUM, transfer_syntax=JPEGLSLossless
    ),
    "fewer compressed frames than declared": changed(
        reencoded(lambda frames: {"PixelData": encapsulate(frames[:-1])}),
        Refused("MALFORMED"),
        shape=MEDIUM,
        transfer_syntax=JPEGLSLossless,
    ),
    "compressed frames that end early": changed(
        lambda path: rewritten(path, lambda content: content[:-200]),
        Refused("TRUNCATED"),
        shape=MEDIUM,
        transfer_syntax=RLELossless,
    ),
    "two echoes in a file": Quirk(two_echoes, Refused("DUPLICATE_POSITION")),
    "two stacks in a file": Quirk(two_stacks, Refused("MIXED_ORIENTATION")),
    "a frame is missing": enhanced(Refused("MISSING_SLICES"), slice_offsets_mm=[0, 2.5, 5, 10, 12.5, 15, 17.5]),
    "frames at uneven distances": enhanced(Refused("IRREGULAR_SPACING"), slice_offsets_mm=[0, 2, 5, 7, 10, 12.6, 15]),
    "tilted frames": enhanced(Refused("SHEARED"), shear_mm_per_slice=0.6),
    "two frames at one place": enhanced(
        Refused("DUPLICATE_POSITION"), slice_offsets_mm=[0, 2.5, 2.5, 5, 7.5, 10, 12.5]
    ),
    "a frame without its position": enhanced(
        Refused("NO_GEOMETRY"), before_saving=in_frame(3, without("PlanePositionSequence"))
    ),
    "frames without their orientation": enhanced(
        Refused("NO_GEOMETRY"), edit=in_frames(lambda number, item: delattr(item, "PlaneOrientationSequence"))
    ),
    "frames with empty groups": enhanced(
        Refused("NO_GEOMETRY"), edit=in_frames(lambda number, item: setattr(item, "PlanePositionSequence", []))
    ),
    "frames without any functional group": enhanced(
        Refused("NO_GEOMETRY"),
        before_saving=lambda ds: [
            delattr(ds, keyword) for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        ],
    ),
    "a frame without its rescale": enhanced(
        Refused("MIXED_GRID"), shared=(), before_saving=in_frame(2, without("PixelValueTransformationSequence"))
    ),
    "more frames declared than described": enhanced(
        Refused("MALFORMED"), before_saving=lambda ds: setattr(ds, "NumberOfFrames", 8)
    ),
    "fewer frames declared than described": enhanced(
        Refused("MALFORMED"), before_saving=lambda ds: setattr(ds, "NumberOfFrames", 6)
    ),
    "frames with fewer pixels than declared": changed(
        lambda path: resaved(path, lambda ds: setattr(ds, "PixelData", ds.PixelData[:-60])), Refused("TRUNCATED")
    ),
    "frames with more pixels than declared": changed(
        lambda path: resaved(path, lambda ds: setattr(ds, "PixelData", ds.PixelData + ds.PixelData[:60])),
        Refused("MALFORMED"),
    ),
    "a multi-frame file cut off": changed(
        lambda path: rewritten(path, lambda content: content[:-100]), Refused("TRUNCATED")
    ),
    "frames of 1 bit": enhanced(
        Refused("UNSUPPORTED_PIXELS"), before_saving=setting(BitsAllocated=1, BitsStored=1, HighBit=0)
    ),
    "enhanced MR in colour": enhanced(
        Refused("UNSUPPORTED_SOP_CLASS"), modality="MR", edit=setting(SOPClassUID=EnhancedMRColorImageStorage)
    ),
    "100 000 frames": enhanced(Refused("TOO_LARGE"), before_saving=setting(NumberOfFrames=100_000)),
    "a million items for frames": changed(
        per_frame_sequence(lambda value: (ITEM + bytes(4)) * 1_000_000), Refused("TOO_LARGE")
    ),
    "a million items of a defined length": changed(
        per_frame_sequence(lambda value: (ITEM + bytes(4)) * 1_500_000, defined=True), Refused("TOO_LARGE")
    ),
    "functional groups 3000 deep": changed(per_frame_sequence(nested), Refused("MALFORMED")),
    "a functional group beyond the file": changed(
        per_frame_sequence(lambda value: value[:16] + b"\xf0\xff\xff\xff" + value[20:]), Refused("MALFORMED")
    ),
}
