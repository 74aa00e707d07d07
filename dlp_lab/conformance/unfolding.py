"""A multi-frame file as one flat data set for each frame, so that the rules for slices can look at frames too.

What the functional groups say of a frame, shared or its own, stands in its flat data set beside what the file says as a
whole; the frame's word counts more. Written without the code that writes or reads multi-frame files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from dlp_lab.dicom.header import Header

_CHARACTER_SET = Tag("SpecificCharacterSet")
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def has_frames(ds: Dataset) -> bool:
    """Whether the data set is one of a multi-frame image with functional groups."""
    return _PER_FRAME in ds


def unfolded(ds: FileDataset) -> list[FileDataset]:
    """One data set for each item of PerFrameFunctionalGroupsSequence, in their order."""
    top = {tag: ds.get_item(tag) for tag in list(ds.keys())}
    shared = [element for group in _groups(ds.get(_SHARED)) for element in _elements(group)]
    frames = []
    for groups in ds[_PER_FRAME].value:
        flat = FileDataset("", {}, preamble=ds.preamble, file_meta=ds.file_meta)
        implicit, little = ds.original_encoding
        flat.set_original_encoding(implicit, little, ds.original_character_set)
        own = [element for group in _groups([groups]) for element in _elements(group)]
        # text of a frame may be in a character set of its own (PS3.5 7.5.3)
        character_set = [(tag, element) for tag, element in _elements(groups) if tag == _CHARACTER_SET]
        for tag, element in (*top.items(), *shared, *character_set, *own):
            flat[tag] = element
        for keyword in (_SHARED, _PER_FRAME):
            flat.pop(keyword, None)
        frames.append(flat)
    return frames


def _groups(items: Any) -> Iterator[Dataset]:
    for item in items or ():
        for sequence in item:
            if sequence.VR == "SQ" and sequence.value and not sequence.tag.is_private:
                # of several derivations, one after the other, the last made the frame (PS3.3 C.7.6.16.2.6)
                yield sequence.value[-1 if sequence.keyword == "DerivationImageSequence" else 0]


def _elements(group: Dataset) -> Iterator[tuple[Any, Any]]:
    for tag in list(group.keys()):
        yield tag, group.get_item(tag)


def frame_header(header: Header, flat: Dataset) -> Header:
    """The header of a file, with the place and the rescale of one of its frames."""
    return replace(
        header,
        position_lps_mm=_numbers(flat, "ImagePositionPatient", 3),
        orientation=_numbers(flat, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(flat, "PixelSpacing", 2),
        slice_thickness_mm=(_numbers(flat, "SliceThickness", 1) or (None,))[0],
        rescale_slope=(_numbers(flat, "RescaleSlope", 1) or (1.0,))[0],
        rescale_intercept=(_numbers(flat, "RescaleIntercept", 1) or (0.0,))[0],
    )


def _numbers(ds: Dataset, keyword: str, expected: int) -> tuple[float, ...] | None:
    value = ds.get(keyword)
    if value is None or value == "":
        return None
    try:
        numbers = tuple(float(number) for number in ([value] if expected == 1 else value))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == expected else None
