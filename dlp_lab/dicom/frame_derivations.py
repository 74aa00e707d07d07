"""What is said of each derived frame: how it was derived, and from which frames (PS3.3 C.7.6.16.2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from dlp_lab import __version__
from dlp_lab.dicom.derived_frames import DerivedFrames
from dlp_lab.dicom.derived_header import MANUFACTURER, Derivation, code_item, reference_to
from dlp_lab.dicom.header import Header

_MOST_NUMBERS = 10_000
"""Of frames in one reference, whose element holds less than 64 KiB."""
_UNNAMED = ("IMAGE-PROCESSING", "99DLPLAB", "Image processing")
"""A frame's derivation needs a code (Table C.7.6.16-7), also where CID 7203 has none for what was done."""


def set_derivations(
    frames: DerivedFrames, contributing: Sequence[Sequence[Header]], derivation: Derivation, *, resampled: bool
) -> None:
    """Say of each frame how it was derived, and from which frames (PS3.3 C.7.6.16.2.6).

    Args:
        frames: The derived frames.
        contributing: For each the source frames its values come from, the one that viewers should compare with first.
        derivation: What was done.
        resampled: The frames do not lie where the source's do.
    """
    codes = [code_item(*(derivation.code or _UNNAMED))]
    if resampled:
        codes.append(code_item("113085", "DCM", "Spatial resampling"))
    description = f"{derivation.description}; {MANUFACTURER} {__version__}"[:1024]
    earlier = frames.shared.get("DerivationImageSequence") or []
    frames.shared.pop("DerivationImageSequence", None)
    for item, sources in zip(frames.items, contributing, strict=True):
        own = Dataset()
        own.DerivationDescription = description
        own.DerivationCodeSequence = codes
        own.SourceImageSequence = references_to_frames(sources, in_place=not resampled)
        item.DerivationImageSequence = [*(item.get("DerivationImageSequence") or earlier), own]


def references_to_frames(sources: Sequence[Header], *, in_place: bool) -> list[Dataset]:
    """One reference to each file and its frames; where all contribute, one to the first and one to the whole."""
    by_file: dict[Path, list[Header]] = {}
    for header in sources:
        by_file.setdefault(header.path, []).append(header)
    references = []
    for headers in by_file.values():
        numbers: list[list[int] | None] = [[(header.frame or 0) + 1 for header in headers]]
        first = numbers[0] or []
        if 1 < len(first) == headers[0].frames:
            numbers = [first[:1], None]
        elif len(first) > _MOST_NUMBERS:
            numbers = [first[start : start + _MOST_NUMBERS] for start in range(0, len(first), _MOST_NUMBERS)]
        for named in numbers:
            item = reference_to(headers[0], in_place=in_place)
            if named is not None:
                item.ReferencedFrameNumber = named
            references.append(item)
    return references


def references_to_images(sources: Sequence[Header]) -> list[Dataset]:
    """References to images of other series, whose voxels lie elsewhere than those of the result."""
    single = [reference_to(header, in_place=False) for header in sources if header.frame is None]
    return [*single, *references_to_frames([header for header in sources if header.frame is not None], in_place=False)]
