"""Headers for readers without a DICOM library: the DICOM JSON model (PS3.18 F), and a few facts of the acquisition.

DICOM JSON is not loss-free: decimal strings become numbers, text becomes UTF-8. What must come back as it was comes
from the encoded headers, `header_archive.py`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from functools import lru_cache
from itertools import filterfalse
from struct import Struct
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dlp_lab.dicom.element_json import element_json
from dlp_lab.dicom.header_archive import CutHeader, decode_header

Model = dict[str, Any]

_TAG = Struct("<HH")
_GIVES_MEANING = frozenset(
    [
        0x00080005,  # SpecificCharacterSet
        0x00280103,  # PixelRepresentation
        0x00283002,  # LUTDescriptor
        0x54001004,  # WaveformBitsAllocated
    ]
)
_LAST_PRIVATE_CREATOR = 0xFF
_MOST_KNOWN_BYTES = 2**21
_BESIDE_AN_ELEMENT_BYTES = 500
"""What its model and its places in tables take."""
_ACQUISITION = (
    "KVP",
    "XRayTubeCurrent",
    "ExposureTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "EffectiveEchoTime",
    "InversionTime",
    "FlipAngle",
    "EchoTrainLength",
    "NumberOfAverages",
    "ImagingFrequency",
    "PixelBandwidth",
    "ActualFrameDuration",
    "FrameReferenceTime",
)
"""Attributes that are numbers by their VR, so that no text about the patient can stand in them."""


class HeaderModels:
    """The headers of a series in the DICOM JSON model, added one by one; none but the first is held."""

    def __init__(self) -> None:
        self._known = _KnownElements()
        self._count = 0
        self._first: Model = {}
        self._common: Model = {}
        self._until: dict[str, int] = {}

    @property
    def common(self) -> Model:
        """The elements that are the same in all headers so far."""
        return self._common

    def add(self, header: CutHeader) -> Model:
        """The next header, without the elements that are the same in this one and all before."""
        model = self._known.model(header.pieces) if header.walked else _model(decode_header(header.encoded))
        if not self._count:
            self._first, self._common = model, dict(model)
        get = model.get
        # most are one and the same object, which a comparison of dictionaries would not notice
        other = [tag for tag, element in self._common.items() if get(tag) is not element and get(tag) != element]
        for tag in other:
            del self._common[tag]
            self._until[tag] = self._count
        self._count += 1
        return {tag: element for tag, element in model.items() if tag not in self._common}

    def no_longer_common(self, number: int) -> Model:
        """What the answer of `add` for a header left out that is not the same in all that came since."""
        return {tag: self._first[tag] for tag, until in self._until.items() if number < until}


def dicom_json(headers: Iterable[CutHeader]) -> tuple[Model, list[Model]]:
    """The headers of a series in the DICOM JSON model.

    Returns:
        The elements that are the same in all of them, and for each of them the others.
    """
    models = HeaderModels()
    own = [models.add(header) for header in headers]
    return models.common, [in_order({**one, **models.no_longer_common(number)}) for number, one in enumerate(own)]


def in_order(model: Model) -> Model:
    """The model with its elements in the order of their tags, as PS3.18 F.2.2 has them."""
    return dict(sorted(model.items()))


class _KnownElements:
    """Models of elements, each made once, however many headers have the same bytes.

    What equal bytes mean depends on a few other elements: the character set, the creators of private blocks, and what
    decides between two VRs where an archive had put down none (pydicom's `correct_ambiguous_vr_element`). Elements are
    known beside these alone. Now and then all are forgotten, for some are different in each header.
    """

    def __init__(self) -> None:
        self._size_bytes = 0
        self._seen: set[bytes] = set()
        self._giving_meaning: set[bytes] = set()
        self._models: dict[tuple[bytes, ...], dict[bytes, tuple[str, Model | None]]] = {}

    def model(self, pieces: tuple[bytes, ...]) -> Model:
        """The model of a header that was walked."""
        start, *elements = pieces
        if self._size_bytes > _MOST_KNOWN_BYTES:
            self._size_bytes, self._seen, self._giving_meaning, self._models = 0, set(), set(), {}
        # by `filter` and `map`, for nearly all elements of all headers but the first are known already
        for element in filterfalse(self._seen.__contains__, elements):
            self._seen.add(element)
            self._size_bytes += len(element) + _BESIDE_AN_ELEMENT_BYTES
            if _told_by_tag(element[:4])[1]:
                self._giving_meaning.add(element)
        context = tuple(filter(self._giving_meaning.__contains__, elements))
        known = self._models.setdefault(context, {})
        asked = []
        for element in filterfalse(known.__contains__, elements):
            model = element_json(element)
            known[element] = _told_by_tag(element[:4])[0], model
            if model is None:
                asked.append(element)
        if asked:
            beside = sorted({*context, *asked}, key=lambda element: _number(element))
            of_pydicom = _model(decode_header(start + b"".join(beside)))
            for element in asked:
                tag, _ = known[element]
                # absent if it breaks the rules of its VR
                known[element] = tag, of_pydicom.get(tag)
        return {tag: model for tag, model in map(known.__getitem__, elements) if model is not None}


@lru_cache(4096)
def _told_by_tag(encoded: bytes) -> tuple[str, bool]:
    """The name of a tag in DICOM JSON, and whether its element may give another one its meaning."""
    number = _number(encoded)
    return f"{number:08X}", _gives_meaning(number)


def _gives_meaning(number: int) -> bool:
    is_private_creator = number >> 16 & 1 == 1 and number & 0xFFFF <= _LAST_PRIVATE_CREATOR
    return is_private_creator or number in _GIVES_MEANING


def _number(element: bytes) -> int:
    """Of an element's tag."""
    group, number = _TAG.unpack_from(element)
    return int(group << 16 | number)


def acquisition_facts(common: Model) -> dict[str, float]:
    """Numbers that all slices share and that tell nothing of the patient, by DICOM keyword.

    Args:
        common: The common elements of `dicom_json`; of multi-frame images, shared functional groups count too.
    """
    facts = {}
    for model in (common, *_shared_groups(common)):
        for keyword in _ACQUISITION:
            values = model.get(Tag(keyword).json_key, {}).get("Value", [])
            if len(values) == 1 and isinstance(values[0], int | float):
                facts[keyword] = values[0]
    return facts


def _shared_groups(common: Model) -> list[Model]:
    """The standard's functional groups; beside them a vendor's elements may stand, which need be no sequences."""
    shared = common.get(Tag("SharedFunctionalGroupsSequence").json_key, {}).get("Value", [])
    groups = [group for item in shared[:1] for tag, group in item.items() if not Tag(tag).is_private]
    return [group["Value"][0] for group in groups if group["vr"] == "SQ" and group.get("Value")]


def _model(ds: Dataset) -> Model:
    with warnings.catch_warnings():
        # values that break the rules of their VR are common, and no news here
        warnings.simplefilter("ignore")
        text = json.dumps(ds.to_json_dict(suppress_invalid_tags=True))
    # JSON has no NaN and no infinity: PS3.18 F.2.3 writes them as strings
    model: Model = json.loads(text, parse_constant=str)
    return in_order(model)
