"""What both kinds of multi-frame image that are written share: functional groups, dimensions, evidence, the stream.

A derived slice is made as for a single-frame series, header and all; here its attributes are moved to where a
multi-frame image has them (PS3.3 C.7.6.16, C.7.6.17). They are moved as they are encoded, so that no digit changes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from dlp_lab.dicom.derived_header import code_item, derived_uid
from dlp_lab.dicom.encoded_sequence import LARGEST_ELEMENT_BYTES, element_start
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.errors import TooLarge
from dlp_lab.geometry import Geometry

Groups = dict[str, Dataset]
"""Functional groups of one frame: the one item of each sequence, by the sequence's keyword."""

FILE_NAME = "0001.dcm"

_NEVER_SHARED = (
    "FrameContentSequence",
    "PlanePositionSequence",
    "ConversionSourceAttributesSequence",
    "RealWorldValueMappingSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
_WITH_TEXT = ("DerivationImageSequence", "FrameVOILUTSequence", "FrameAnatomySequence")
_SPACING_TOLERANCE = 0.01
_EXPLICIT_LITTLE_ENDIAN = (False, True)


def item(**values: Any) -> Dataset:
    """A sequence item with these values by keyword."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def taken(ds: Dataset, keywords: Iterable[str]) -> Dataset:
    """Move elements out of `ds` into an item of their own, those that are there and not empty."""
    tags = [Tag(keyword) for keyword in keywords if ds.get(keyword) not in (None, "")]
    made = copied_tags(ds, tags)
    for tag in tags:
        del ds[tag]
    return made


def copied_tags(ds: Dataset, tags: Iterable[BaseTag]) -> Dataset:
    """An item with elements of `ds`, byte for byte where the encoding allows it."""
    made = Dataset(parent_encoding=ds.original_character_set)
    as_stored = ds.original_encoding == _EXPLICIT_LITTLE_ENDIAN
    if as_stored:
        # its elements are then written as they were read
        made.set_original_encoding(*_EXPLICIT_LITTLE_ENDIAN, ds.original_character_set)
    for tag in tags:
        made[tag] = ds.get_item(tag) if as_stored else ds[tag]
    return made


def same_element(one: Dataset, other: Dataset, tag: BaseTag) -> bool:
    """Whether two data sets have the same value of an element."""
    if tag not in one or tag not in other:
        return False
    mine, theirs = one.get_item(tag), other.get_item(tag)
    if isinstance(mine, RawDataElement) and isinstance(theirs, RawDataElement):
        return (mine.VR, mine.value) == (theirs.VR, theirs.value)
    return bool(one[tag] == other[tag])


def plane_groups(ds: Dataset, geometry: Geometry) -> Groups:
    """Where a slice lies and how large its pixels are (PS3.3 C.7.6.16.2.1, C.7.6.16.2.3, C.7.6.16.2.4).

    Readers of frames trust SpacingBetweenSlices, which is often wrong in classic headers, and SliceThickness is needed
    of frames that are a volume. So the one is put right and the other added, by the distance between the slices.
    """
    along_normal_mm = geometry.spacing_kji_mm[0] * math.cos(math.radians(geometry.tilt_degrees))
    told = ds.get("SpacingBetweenSlices")
    if told not in (None, "") and abs(abs(float(told)) - along_normal_mm) > _SPACING_TOLERANCE * along_normal_mm:
        ds.SpacingBetweenSlices = f"{along_normal_mm:.10g}"
    if ds.get("SliceThickness") in (None, ""):
        ds.SliceThickness = f"{along_normal_mm:.10g}"
    return {
        "PixelMeasuresSequence": taken(ds, ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices")),
        "PlanePositionSequence": taken(ds, ("ImagePositionPatient",)),
        "PlaneOrientationSequence": taken(ds, ("ImageOrientationPatient",)),
    }


def derivation_group(ds: Dataset) -> Dataset:
    """What a frame was made from, and how (PS3.3 C.7.6.16.2.6), where a code is needed."""
    if not ds.get("DerivationCodeSequence"):
        ds.DerivationCodeSequence = [code_item("112187", "DCM", "Unspecified method of calculation")]
    return taken(ds, ("DerivationDescription", "DerivationCodeSequence", "SourceImageSequence"))


def tell_character_sets(data_sets: Sequence[Dataset], frames: Sequence[Groups]) -> None:
    """Say of a frame how its text is to be read, where it is not read as that of the file (PS3.5 7.5.3).

    Args:
        data_sets: That of each frame; the first one becomes that of the file.
        frames: Groups of each frame.
    """
    of_the_file = data_sets[0].get("SpecificCharacterSet")
    for ds, groups in zip(data_sets, frames, strict=True):
        own = ds.get("SpecificCharacterSet")
        if own and own != of_the_file:
            for keyword in _WITH_TEXT:
                if keyword in groups:
                    groups[keyword].SpecificCharacterSet = own


def frame_content(number: int) -> Dataset:
    """Place of the frame `number`, counted from 1, in its stack (PS3.3 C.7.6.16.2.2)."""
    return item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[1, number])


def set_functional_groups(ds: Dataset, frames: Sequence[Groups], **shared_by_all: Dataset) -> None:
    """Write the functional groups: what all frames share once, the rest for each frame (PS3.3 C.7.6.16).

    Args:
        ds: Gets them.
        frames: Groups of each frame.
        **shared_by_all: Further groups, by the keyword of their sequence.
    """
    first = frames[0]
    shared = [
        keyword
        for keyword, group in first.items()
        if keyword not in _NEVER_SHARED and all(_same_items(group, frame.get(keyword)) for frame in frames[1:])
    ]
    ds.SharedFunctionalGroupsSequence = [
        item(**{keyword: [first[keyword]] for keyword in shared}, **{k: [group] for k, group in shared_by_all.items()})
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(**{keyword: [group] for keyword, group in frame.items() if keyword not in shared}) for frame in frames
    ]
    ds.NumberOfFrames = len(frames)


def _same_items(one: Dataset, other: Dataset | None) -> bool:
    return (
        other is not None
        and one.keys() == other.keys()
        and all(same_element(one, other, tag) for tag in list(one.keys()))
    )


def set_dimensions(ds: Dataset, series_uid: str) -> None:
    """Frames are counted along the normal of their planes (PS3.3 C.7.6.17)."""
    uid = derived_uid(series_uid, "dimensions")
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=uid)]
    ds.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=Tag(keyword),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
            DimensionDescriptionLabel=label,
        )
        for keyword, label in (("StackID", "Stack"), ("InStackPositionNumber", "Position in the stack"))
    ]


def references_to(source: Sequence[Header]) -> list[Dataset]:
    """The images that frames refer to, each once."""
    first_of = {header.sop_instance_uid: header for header in reversed(source)}
    return [
        item(ReferencedSOPClassUID=header.sop_class_uid, ReferencedSOPInstanceUID=uid)
        for uid, header in reversed(first_of.items())
    ]


def source_evidence(source: Sequence[Header]) -> list[Dataset]:
    """List these images by study and series (PS3.3 C.8.13.1); nothing if one of the two has no UID to list them by."""
    first = source[0]
    if not first.study_instance_uid or not first.series_instance_uid:
        return []
    series = item(SeriesInstanceUID=first.series_instance_uid, ReferencedSOPSequence=references_to(source))
    return [item(StudyInstanceUID=first.study_instance_uid, ReferencedSeriesSequence=[series])]


def set_frame_of_reference(ds: Dataset, series_uid: str) -> None:
    """Positions of frames need a frame of reference (PS3.3 C.7.4.1); where the source names none, it is a new one."""
    if not ds.get("FrameOfReferenceUID"):
        ds.FrameOfReferenceUID = derived_uid(series_uid, "frame of reference")
    if "PositionReferenceIndicator" not in ds:
        ds.PositionReferenceIndicator = ""


def refuse_too_many_bytes(frames: int, frame_bytes: int, way_out: str) -> None:
    """Make sure that the pixels fit into one element.

    Args:
        frames, frame_bytes: How many, and the size of each.
        way_out: What to do otherwise.

    Raises:
        TooLarge: They do not.
    """
    if frames * frame_bytes > LARGEST_ELEMENT_BYTES:
        raise TooLarge(
            f"{frames} frames of {frame_bytes} bytes do not fit into one file (PS3.5 7.1.1: 4 GiB); {way_out}"
        )


def stored_frames(
    rescales: Sequence[Rescale], slices: Sequence[NDArray[Any]], report: Callable[[float, str], None]
) -> Iterator[NDArray[Any]]:
    """The 16-bit integers of each frame, in little endian, when they are asked for."""
    for number, (rescale, values) in enumerate(zip(rescales, slices, strict=True)):
        report(number / len(rescales), f"writing frame {number + 1} of {len(rescales)}")
        stored = rescale.store(values)
        yield np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))


def save_frames(
    ds: Dataset,
    path: Path,
    keyword: str,
    vr: str,
    frames: Iterable[NDArray[Any]],
    frame_bytes: int,
    settle: Callable[[], None] | None = None,
) -> None:
    """Write a file whose last element holds the frames, one after the other, without holding them in memory.

    Args:
        ds: All but the pixels, with its file meta information.
        path: New file, for its owner alone to read.
        keyword, vr: Of the element of the pixels.
        frames: Arrays in little endian, as many as `refuse_too_many_bytes` lets pass.
        frame_bytes: Size of each.
        settle: Sets values of `ds` that the frames alone tell, after the last one; none may become longer or shorter.
    """
    length = int(ds.NumberOfFrames) * frame_bytes
    padding = length % 2
    tag = Tag(keyword)
    # encoded first, for pydicom takes the number from the error of a full disk
    header = encoded_file(ds)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(header)
        file.write(element_start(tag, vr.encode(), length + padding))
        for frame in frames:
            file.write(frame.data)
        file.write(b"\0" * padding)
        if settle is not None:
            settle()
            file.seek(0)
            file.write(encoded_file(ds))


def encoded_file(ds: Dataset) -> memoryview:
    """The file of a data set, up to its last element."""
    encoded = BytesIO()
    pydicom.dcmwrite(encoded, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return encoded.getbuffer()
