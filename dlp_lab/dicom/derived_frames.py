"""Functional groups of derived frames: their source's, changed where the processing changed them.

The rules are those of `derived_header.py`, at the places where an enhanced multi-frame image has them (PS3.3 C.7.6.16).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import (
    STALE,
    decimal,
    drop_invalid_window,
)
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS, SHARED_GROUPS
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.geometry import Geometry

_FRAME_TYPES = {"CT": "CTImageFrameTypeSequence", "MR": "MRImageFrameTypeSequence", "PT": "PETFrameTypeSequence"}
_DESCRIBED_AT_TOP = (
    "PixelPresentation",
    "VolumetricProperties",
    "VolumeBasedCalculationTechnique",
    "ComplexImageComponent",
    "AcquisitionContrast",
)
_UNASSIGNED = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
_STALE_GROUPS = (
    "RealWorldValueMappingSequence",
    "PixelIntensityRelationshipLUTSequence",
    "ConversionSourceAttributesSequence",  # a derived frame is no conversion of the single image
)
RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")


@dataclass(frozen=True)
class DerivedFrames:
    """The functional groups of the frames that are written.

    Attributes:
        headers: Of the source frame that each takes its groups from.
        shared: The item that all share.
        items: One for each frame, its own.
    """

    headers: tuple[Header, ...]
    shared: Dataset
    items: tuple[Dataset, ...]

    def holders(self, keyword: str) -> Iterator[Dataset]:
        """The group of that name wherever it stands."""
        for item in (self.shared, *self.items):
            if group := item.get(keyword):
                yield group[0]

    def remove(self, keyword: str) -> Dataset | None:
        """Remove a group from everywhere; the first that there was."""
        first = next(self.holders(keyword), None)
        for item in (self.shared, *self.items):
            if keyword in item:
                delattr(item, keyword)
        return first


def take_frames(datasets: Mapping[Path, Dataset], headers: Sequence[Header]) -> DerivedFrames:
    """The functional groups of some frames of a series, without what is true of the source's pixels alone.

    Args:
        datasets: Of the files they are in; they are used up.
        headers: The frames, in the order in which they are written. One may be there more than once.
    """
    shared, moved = _shared_by_all(datasets)
    of_the_file = datasets[headers[0].path].get("SpecificCharacterSet")
    seen: set[tuple[Path, int | None]] = set()
    items = []
    for header in headers:
        own = datasets[header.path].get(PER_FRAME_GROUPS)
        item = own.value[header.frame] if own is not None and own.value else Dataset()
        # what is written twice must not be changed twice
        again = (header.path, header.frame) in seen
        seen.add((header.path, header.frame))
        item = copy.deepcopy(item) if again else item
        for element in moved[header.path]:
            if element.tag not in item:
                item.add(copy.deepcopy(element))
        character_set = datasets[header.path].get("SpecificCharacterSet")
        if character_set and character_set != of_the_file:
            item.SpecificCharacterSet = character_set  # its text is not read as that of the file (PS3.5 7.5.3)
        items.append(item)
    frames = DerivedFrames(tuple(headers), shared, tuple(items))
    _drop_stale_groups(frames)
    return frames


def _shared_by_all(datasets: Mapping[Path, Dataset]) -> tuple[Dataset, dict[Path, list[DataElement]]]:
    """The shared item of all files together, and for each file the groups that only its own frames share."""
    items = {path: ds[SHARED_GROUPS].value[0] if ds.get(SHARED_GROUPS) else Dataset() for path, ds in datasets.items()}
    first, *others = items.values()
    if not others:
        return first, {path: [] for path in datasets}
    common = {element.tag for element in first if all(other.get(element.tag) == element for other in others)}
    moved = {path: [element for element in item if element.tag not in common] for path, item in items.items()}
    for tag in list(first.keys()):
        if tag not in common:
            del first[tag]
    return first, moved


def _drop_stale_groups(frames: DerivedFrames) -> None:
    for keyword in _STALE_GROUPS:
        frames.remove(keyword)
    for keyword in _UNASSIGNED:
        for group in frames.holders(keyword):
            for stale in (*STALE, *RESCALE):
                if stale in group:
                    delattr(group, stale)
    for item in (frames.shared, *frames.items):
        window = item.get("FrameVOILUTSequence")
        if window:
            drop_invalid_window(window[0])
            if "WindowCenter" not in window[0]:
                del item.FrameVOILUTSequence


def set_frame_types(frames: DerivedFrames, top: Dataset, *, resampled: bool) -> None:
    """FrameType and ImageType: derived, and primary, the only value 2 of enhanced images (PS3.3 C.8.16.1).

    ImageType has what all frames have in common, and MIXED for a fourth value that they do not.
    """
    keyword = _FRAME_TYPES[frames.headers[0].modality]
    if keyword not in frames.shared:
        for item, header in zip(frames.items, frames.headers, strict=True):
            if not item.get(keyword):
                _add_frame_type(item, keyword, header, top)
    for group in frames.holders(keyword):
        group.FrameType = _derived_type(list(group.get("FrameType") or []), resampled)
        if "PixelPresentation" in group:
            group.PixelPresentation = "MONOCHROME"  # colours were those of the source's stored values
    kinds = [_derived_type(header.image_type, resampled) for header in frames.headers]
    flavours, contrasts = ({tuple(kind[part]) for kind in kinds} for part in (slice(2, 3), slice(3, None)))
    # value 3 is never MIXED: that of the source's summary stays (PS3.3 C.8.16.1.3)
    flavour = flavours.pop() if len(flavours) == 1 else list(top.get("ImageType") or [])[2:3]
    top.ImageType = ["DERIVED", "PRIMARY", *flavour, *(contrasts.pop() if len(contrasts) == 1 else ["MIXED"])]


def _derived_type(source: Sequence[str], resampled: bool) -> list[str]:
    rest = list(source[2:])
    if resampled and len(rest) > 1:
        rest[1] = "RESAMPLED"
    return ["DERIVED", "PRIMARY", *rest]


def _add_frame_type(item: Dataset, keyword: str, header: Header, top: Dataset) -> None:
    group = Dataset()
    group.FrameType = list(header.image_type)
    for described in _DESCRIBED_AT_TOP:
        if top.get(described):
            setattr(group, described, top.get(described))
    setattr(item, keyword, [group])


def set_stack(frames: DerivedFrames) -> None:
    """Frames in the order of their places, as one stack (PS3.3 C.7.6.16.2.2)."""
    stack = dict(frames.headers[0].discriminators).get("StackID") or "1"
    for position, item in enumerate(frames.items, 1):
        if not item.get("FrameContentSequence"):
            item.FrameContentSequence = copy.deepcopy(frames.shared.get("FrameContentSequence") or [Dataset()])
        content = item.FrameContentSequence[0]
        content.StackID = stack
        content.InStackPositionNumber = position
        content.DimensionIndexValues = [1, position]
    if "FrameContentSequence" in frames.shared:
        del frames.shared.FrameContentSequence


def set_rescales(frames: DerivedFrames, rescales: Sequence[Rescale]) -> None:
    """PixelValueTransformationSequence (PS3.3 C.7.6.16.2.9), shared where it is the same in all frames."""
    known = [_group_of(frames, number, "PixelValueTransformationSequence") for number in range(len(frames.items))]
    was_there = frames.remove("PixelValueTransformationSequence") is not None
    if not rescales[0].written and not was_there:
        return
    groups = [
        _transformation(rescale, source, header)
        for rescale, source, header in zip(rescales, known, frames.headers, strict=True)
    ]
    if all(group == groups[0] for group in groups):
        frames.shared.PixelValueTransformationSequence = [groups[0]]
        return
    for item, group in zip(frames.items, groups, strict=True):
        item.PixelValueTransformationSequence = [group]


def _group_of(frames: DerivedFrames, number: int, keyword: str) -> Dataset:
    group = frames.items[number].get(keyword) or frames.shared.get(keyword)
    return group[0] if group else Dataset()


def _transformation(rescale: Rescale, source: Dataset, header: Header) -> Dataset:
    group = Dataset()
    for keyword, known, text in (
        ("RescaleIntercept", header.rescale_intercept, rescale.intercept_text),
        ("RescaleSlope", header.rescale_slope, rescale.slope_text),
    ):
        # a number that stays is left as the source wrote it, "1.000000" for 1
        kept = known == float(text) and source.get(keyword) not in (None, "")
        setattr(group, keyword, source.get(keyword) if kept else text)
    group.RescaleType = source.get("RescaleType") or ("HU" if header.modality == "CT" else "US")
    return group


def set_places(frames: DerivedFrames, geometry: Geometry, slices: Sequence[int], *, resampled: bool) -> None:
    """Place frames that lie where no source frame does; give those a group that have their place from elsewhere."""
    if resampled:
        frames.remove("PlanePositionSequence")
        for item, k in zip(frames.items, slices, strict=True):
            position = geometry.positions_lps_mm((k, 0, 0)).tolist()
            item.PlanePositionSequence = [_with(ImagePositionPatient=position)]
        for group in frames.holders("PixelMeasuresSequence"):
            group.SliceThickness = decimal(geometry.spacing_kji_mm[0])
            group.pop("SpacingBetweenSlices", None)
        for group in frames.holders("CTAcquisitionDetailsSequence"):
            if "GantryDetectorTilt" in group:
                group.GantryDetectorTilt = "0"  # the element is required; readers would undo the tilt once more
    for item, header in zip(frames.items, frames.headers, strict=True):
        for keyword, attributes in _places_of(header).items():
            if keyword not in frames.shared and not item.get(keyword):
                setattr(item, keyword, [_with(**attributes)])


def _places_of(header: Header) -> dict[str, dict[str, tuple[float, ...]]]:
    thickness_mm = header.slice_thickness_mm
    return {
        "PlanePositionSequence": {"ImagePositionPatient": header.position_lps_mm or ()},
        "PlaneOrientationSequence": {"ImageOrientationPatient": header.orientation or ()},
        "PixelMeasuresSequence": {
            "PixelSpacing": header.pixel_spacing_mm or (),
            **({} if thickness_mm is None else {"SliceThickness": (thickness_mm,)}),
        },
    }


def _with(**attributes: Sequence[float]) -> Dataset:
    item = Dataset()
    for keyword, numbers in attributes.items():
        setattr(item, keyword, [decimal(number) for number in numbers])
    return item
