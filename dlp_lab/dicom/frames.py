"""The frames of enhanced multi-frame files as headers of their own, so that all that is known of slices holds of them.

Only CT, MR and PET have such files here, and those that were converted from single images.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataset import Dataset

from dlp_lab.dicom.element_values import element_values, read_numbers
from dlp_lab.dicom.functional_groups import (
    FRAME_DISCRIMINATING,
    FunctionalGroups,
    read_frames_values,
    read_functional_groups,
)
from dlp_lab.dicom.header import DISCRIMINATING, ENHANCED, Concatenation, Header
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import DicomError, Malformed, MissingSlices, TooLarge, Unreadable

MAX_FRAMES = 32_768
"""Of a file. The longest series of volumes of scanners have about 20 000."""

_PLACE = "ImagePositionPatient"
_OFTEN_OWN = frozenset({_PLACE, *FRAME_DISCRIMINATING} - {"FrameType"})
"""What a frame may have of its own that says nothing but where it lies and what it is told apart by."""
_DISCRIMINATING = (*FRAME_DISCRIMINATING, *DISCRIMINATING)
_CONCATENATION = ("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber")


def read_frames(header: Header) -> list[Header]:
    """The headers of a file's images: of its frames if it is an enhanced multi-frame file, else `header` alone.

    Raises:
        Unreadable, Malformed, TooLarge: As `read_header`; also when the functional groups are not one for each frame.
    """
    if header.sop_class_uid not in ENHANCED:
        return [header]
    with _opened(header) as file:
        return frames_of(header, file)


def frames_of(header: Header, source: BinaryIO) -> list[Header]:
    """`read_frames` of the bytes of an enhanced multi-frame file."""
    if header.frames > MAX_FRAMES:
        raise TooLarge(
            f"{header.path.name} declares {header.frames} frames (NumberOfFrames (0028,0008)); up to {MAX_FRAMES} are "
            "read from a file"
        )
    with _understood(header):
        top, found, frames = read_frames_values(
            source, part_10=not header.without_preamble, count=header.frames, also=_CONCATENATION
        )
        if found not in (0, header.frames):
            raise Malformed(
                f"{header.path.name}: NumberOfFrames (0028,0008) is {header.frames}, PerFrameFunctionalGroupsSequence "
                f"(5200,9230) has {found} items; export it again"
            )
        concatenation = _concatenation(top)
        return list(_frames(header, frames, concatenation))


def _frames(
    header: Header, frames: Sequence[Mapping[str, Any]], concatenation: Concatenation | None
) -> Iterator[Header]:
    """The header of each frame; most are that of the frame before at another place and time."""
    last: Header | None = None
    before: dict[str, Any] = {}
    for number, values in enumerate(frames):
        rest = {keyword: value for keyword, value in values.items() if keyword not in _OFTEN_OWN}
        if last is not None and rest == before:
            last = last.but(
                frame=number,
                position_lps_mm=read_numbers(_name(header, number), values, _PLACE, 3),
                discriminators=_discriminators(values),
            )
        else:
            last, before = _frame(header, number, values, concatenation), rest
        yield last


def _discriminators(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((keyword, _text(values, keyword) if keyword in values else "") for keyword in _DISCRIMINATING)


def _name(header: Header, number: int) -> Path:
    return Path(f"{header.path.name}, frame {number + 1}")


def _frame(header: Header, number: int, values: Mapping[str, Any], concatenation: Concatenation | None) -> Header:
    place = _name(header, number)
    slope = read_numbers(place, values, "RescaleSlope", 1)
    intercept = read_numbers(place, values, "RescaleIntercept", 1)
    has_rescale = slope is not None and intercept is not None
    return header.but(
        frame=number,
        image_type=tuple(map(str, element_values(values, "FrameType") or header.image_type)),
        position_lps_mm=read_numbers(place, values, _PLACE, 3),
        orientation=read_numbers(place, values, "ImageOrientationPatient", 6),
        pixel_spacing_mm=read_numbers(place, values, "PixelSpacing", 2),
        slice_thickness_mm=(read_numbers(place, values, "SliceThickness", 1) or (None,))[0],
        rescale_slope=(slope or (1.0,))[0],
        rescale_intercept=(intercept or (0.0,))[0],
        has_rescale=has_rescale,
        unit=_unit(header, values) if has_rescale else None,
        discriminators=_discriminators(values),
        concatenation=concatenation,
    )


def _unit(header: Header, values: Mapping[str, Any]) -> str | None:
    """RescaleType (PS3.3 C.7.6.16.2.9), which is HU for CT unless stated; Units in converted PET; MR has no unit."""
    if header.modality == "MR":
        return None
    stated = _text(values, "RescaleType")
    if header.modality == "PT":
        return _text(values, "Units") or stated or None
    return stated or "HU"


def _text(values: Mapping[str, Any], keyword: str) -> str:
    return "\\".join(map(str, element_values(values, keyword) or ()))


def _concatenation(top: Dataset) -> Concatenation | None:
    uid, number, total = (top.get(keyword) for keyword in _CONCATENATION)
    return Concatenation(str(uid), int(number or 0), int(total or 0)) if uid else None


def check_concatenations(headers: Sequence[Header]) -> None:
    """Refuse multi-frame images in parts of which one is missing.

    Raises:
        MissingSlices: The message says which part.
    """
    parts: dict[str, dict[int, Concatenation]] = defaultdict(dict)
    for part in (header.concatenation for header in headers):
        if part is not None:
            parts[part.uid][part.number] = part
    for there in parts.values():
        total = max(max(part.total, part.number) for part in there.values())
        absent = sorted({*range(1, total + 1)} - there.keys())
        if absent:
            raise MissingSlices(
                f"part {absent[0]} of {total} of a multi-frame image in several files is missing "
                "(InConcatenationNumber (0020,9162)); put all parts into the folder"
            )


def attribute_of_frames(headers: Sequence[Header], keyword: str) -> list[str]:
    """One attribute of frames as text; each file is read once.

    Raises as `read_frames` does.
    """
    read: dict[Path, FunctionalGroups] = {}
    values = []
    for header in headers:
        with _understood(header):
            if header.path not in read:
                with _opened(header) as file:
                    read[header.path] = read_functional_groups(
                        file, part_10=not header.without_preamble, also=(keyword,)
                    )
            values.append(read[header.path].text(header.frame or 0, keyword))
    return values


@contextlib.contextmanager
def _opened(header: Header) -> Iterator[BinaryIO]:
    try:
        with opened_unchanged(header) as file:
            yield file
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreadable(f"{header.path.name} cannot be read ({reason}); was it moved meanwhile?") from None


@contextlib.contextmanager
def _understood(header: Header) -> Iterator[None]:
    try:
        with quiet():
            yield
    except TooLarge as error:
        raise TooLarge(f"{header.path.name} cannot be read: {error}; take it out of the folder") from None
    except (DicomError, MemoryError, OSError):
        raise
    except Exception as error:
        # pydicom raises at least eight kinds of exception on broken files; all mean the same to the user
        raise Malformed(
            f"{header.path.name} is DICOM but its functional groups cannot be understood ({type(error).__name__}); "
            "take it out of the folder or export it again"
        ) from None
