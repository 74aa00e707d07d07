"""What an enhanced multi-frame image says of each of its frames (PS3.3 C.7.6.16, Multi-frame Functional Groups).

Attributes of a frame stand in groups, each a sequence with one item, and the groups in the frame's item of
PerFrameFunctionalGroupsSequence or, where all frames share one, in SharedFunctionalGroupsSequence. Converted files have
attributes without a group of their own, and odd files leave some at the top level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from dlp_lab.dicom.data_set import read_data_set, read_with_groups
from dlp_lab.dicom.element_values import element_values
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS, SHARED_GROUPS, Unfamiliar
from dlp_lab.dicom.encoded_values import GroupReader
from dlp_lab.errors import TooLarge

MAX_UNFAMILIAR_BYTES = 4 * 2**20
"""Of functional groups that only pydicom can read: it takes seconds for as many."""

FRAME_DISCRIMINATING = (
    "StackID",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIndex",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "CardiacCyclePosition",
    "RespiratoryCyclePosition",
    "ComplexImageComponent",
    "FrameAcquisitionNumber",
    "FrameAcquisitionDateTime",
    "FrameType",
)
"""What tells apart the frames at one place, besides what tells apart single images."""

_CONVERTED = (
    "EchoTime",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "AcquisitionTime",
    "Units",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
)
_GROUPS: dict[str, tuple[str, ...]] = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "PETFrameTypeSequence": ("FrameType",),
    "FrameContentSequence": (
        "StackID",
        "TemporalPositionIndex",
        "CardiacCyclePosition",
        "RespiratoryCyclePosition",
        "FrameAcquisitionNumber",
        "FrameAcquisitionDateTime",
    ),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRDiffusionSequence": ("DiffusionBValue", "DiffusionGradientOrientation"),
    "CardiacSynchronizationSequence": ("NominalCardiacTriggerDelayTime", "NominalPercentageOfCardiacPhase"),
}
_OWN_GROUPS: dict[int, tuple[str, ...]] = {Tag(group): keywords for group, keywords in _GROUPS.items()}
_CONVERTED_GROUPS: dict[int, tuple[str, ...]] = {
    Tag("UnassignedSharedConvertedAttributesSequence"): _CONVERTED,
    Tag("UnassignedPerFrameConvertedAttributesSequence"): _CONVERTED,
}
_ABOUT_OTHERS = tuple(
    Tag(keyword)
    for keyword in ("DerivationImageSequence", "ReferencedImageSequence", "ConversionSourceAttributesSequence")
)
"""Groups that describe other images, whose attributes are not the frame's."""
_AT_TOP = tuple(dict.fromkeys(keyword for keywords in (*_GROUPS.values(), _CONVERTED) for keyword in keywords))
_SAME_IN_FRAMES = {
    "EchoTime": "EffectiveEchoTime",
    "ImageType": "FrameType",
    "TemporalPositionIdentifier": "TemporalPositionIndex",
    "TriggerTime": "NominalCardiacTriggerDelayTime",
    "AcquisitionNumber": "FrameAcquisitionNumber",
}
"""Attributes of single images and those of frames that took their place."""


@dataclass(frozen=True)
class FunctionalGroups:
    """Functional groups of a file.

    Attributes:
        top: The rest of the data set, as far as it was read.
        shared: The item that all frames share; empty where absent.
        per_frame: One item for each frame; none where the sequence is absent.
    """

    top: Dataset
    shared: Dataset
    per_frame: Sequence[Dataset]

    @cached_property
    def _elsewhere(self) -> dict[str, Any]:
        """What stands in no group of its own."""
        return {**_present(self.top, _AT_TOP), **_known_values(self.shared, {}, _CONVERTED_GROUPS)}

    @cached_property
    def _shared(self) -> dict[str, Any]:
        return _known_values(self.shared, {}, _OWN_GROUPS)

    def frames(self, count: int) -> Iterator[Mapping[str, Any]]:
        """The attributes that a header needs of each of `count` frames, by keyword.

        A group of its own rules over converted attributes, what is said of the frame over what is said of all.
        """
        read: dict[tuple[int, bytes], dict[str, Any]] = {}
        for item in self.per_frame or [Dataset()] * count:
            yield {
                **self._elsewhere,
                **_known_values(item, read, _CONVERTED_GROUPS),
                **self._shared,
                **_known_values(item, read, _OWN_GROUPS),
            }

    def text(self, frame: int, keyword: str) -> str:
        """Any attribute of a frame as text, several values with a backslash between; empty where it is absent.

        Where frames have no such attribute, the one that took its place counts: EffectiveEchoTime for EchoTime.
        """
        items = [*self.per_frame[frame : frame + 1], self.shared]
        for name in (keyword, _SAME_IN_FRAMES.get(keyword, keyword)):
            for item in items:
                if values := _values_within(item, name):
                    return "\\".join(map(str, values))
        return "\\".join(map(str, element_values(self.top, keyword) or ()))


def read_frames_values(
    source: BinaryIO, *, part_10: bool, count: int, also: Sequence[str] = ()
) -> tuple[Dataset, int, list[Mapping[str, Any]]]:
    """What a header needs of each frame.

    Args:
        source, part_10: As for `read_data_set`.
        count: How many frames there should be.
        also: Attributes of the top level to be read.

    Returns:
        The top level; how many frames have functional groups of their own; and for each frame its attributes by
        keyword, which are `count` if no frame has.
    """
    wanted = list(map(Tag, (*_AT_TOP, *also)))
    try:
        top, _, encoded = read_with_groups(source, part_10=part_10, tags=wanted)
        if encoded is None:
            return top, 0, [_present(top, _AT_TOP)] * count
        reader = GroupReader(encoded.elements)
        elsewhere = {**_present(top, _AT_TOP), **reader.values(encoded.shared, _CONVERTED_GROUPS)}
        shared = reader.values(encoded.shared, _OWN_GROUPS)
        values: list[Mapping[str, Any]] = [
            {
                **elsewhere,
                **reader.values(item, _CONVERTED_GROUPS),
                **shared,
                **reader.values(item, _OWN_GROUPS),
            }
            for item in encoded.per_frame or [{}] * count
        ]
        return top, len(encoded.per_frame), values
    except Unfamiliar:
        groups = read_functional_groups(source, part_10=part_10, also=also, most_bytes=MAX_UNFAMILIAR_BYTES)
        return groups.top, len(groups.per_frame), list(groups.frames(count))


def read_functional_groups(
    source: BinaryIO, *, part_10: bool, also: Sequence[str] = (), most_bytes: int | None = None
) -> FunctionalGroups:
    """Read the functional groups of a multi-frame file, and the attributes `also` of its top level.

    Args:
        source, part_10: As for `read_data_set`.
        also: Keywords.
        most_bytes: How large the groups may be; None for no limit but that of headers.

    Raises:
        TooLarge: They are larger.
        Exception: As `read_data_set`.
    """
    wanted = [Tag(SHARED_GROUPS), Tag(PER_FRAME_GROUPS), *map(Tag, (*_AT_TOP, *also))]
    ds, _ = read_data_set(source, part_10=part_10, tags=wanted)
    for tag in (SHARED_GROUPS, PER_FRAME_GROUPS):
        raw = ds.get_item(tag) if tag in ds else None
        size = len(raw.value) if isinstance(raw, RawDataElement) and raw.value else 0
        if most_bytes is not None and size > most_bytes:
            raise TooLarge(f"its functional groups have {size >> 20} MiB in an encoding that is not known well enough")
    shared = ds[SHARED_GROUPS].value if SHARED_GROUPS in ds else []
    per_frame = ds[PER_FRAME_GROUPS].value if PER_FRAME_GROUPS in ds else []
    return FunctionalGroups(ds, shared[0] if shared else Dataset(), per_frame or ())


def _known_values(
    item: Dataset, read: dict[tuple[int, bytes], dict[str, Any]], wanted: Mapping[int, tuple[str, ...]]
) -> dict[str, Any]:
    """Attributes of the groups `wanted` in an item.

    Args:
        item: With the groups.
        read: Groups that were read before, for most frames repeat those of others byte for byte.
        wanted: Their tags, and the attributes of each.
    """
    found: dict[str, Any] = {}
    for tag in item.keys() & wanted.keys():
        raw = item.get_item(tag)
        key = (tag, raw.value) if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) else None
        values = read.get(key) if key else None
        if values is None:
            values = _of_group(item, tag, wanted[tag])
            if key:
                read[key] = values
        found.update(values)
    return found


def _of_group(item: Dataset, tag: BaseTag, keywords: Sequence[str]) -> dict[str, Any]:
    sequence = item[tag].value
    if not sequence:
        return {}
    found = _present(sequence[0], keywords)
    for gradient in sequence[0].get("DiffusionGradientDirectionSequence") or ():
        found.update(_present(gradient, keywords))
    return found


def _present(ds: Dataset, keywords: Sequence[str]) -> dict[str, Any]:
    return {keyword: ds[keyword].value for keyword in keywords if element_values(ds, keyword)}


def _values_within(item: Dataset, keyword: str) -> list[Any] | None:
    """The first values that an attribute has in the groups of an item, or in sequences within them."""
    nested = [
        element.value[0]
        for tag in list(item.keys())
        if not tag.is_private and tag not in _ABOUT_OTHERS and (element := item[tag]).VR == "SQ" and element.value
    ]
    for inner in nested:
        if values := element_values(inner, keyword):
            return values
    for inner in nested:
        if values := _values_within(inner, keyword):
            return values
    return None
