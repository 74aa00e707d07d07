"""Values that change from slice to slice and are simple to read: as pydicom reads them, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag
from pydicom.uid import UID

from dlp_lab.dicom.header import DISCRIMINATING

# far below `LARGEST_NUMBER`
_DECIMAL = rb"[+-]?[0-9]{1,12}(?:\.[0-9]{0,20})?(?:[eE]-[0-9]{1,2})?"


class SimpleValue(NamedTuple):
    """An element whose value is often simple.

    Attributes:
        keyword: Of the element.
        vr: The VR it must have.
        simple: What a simple value looks like.
        read: The value of a field of `Header`, from the bytes of a simple value.
        field: The field; None if the value, as text, is one of the discriminators.
    """

    keyword: str
    vr: str
    simple: re.Pattern[bytes]
    read: Callable[[bytes], Any]
    field: str | None

    def from_bytes(self, value: bytes) -> Any | None:
        """The value that stands in a file; None if it is not simple."""
        return self.read(value) if self.simple.fullmatch(value) else None


def _uid(value: bytes) -> UID:
    # pydicom warns of what is wrong with a UID, and takes it as it is
    return UID(value.rstrip(b"\0").decode(), validation_mode=IGNORE)


def _numbers(value: bytes) -> tuple[float, ...]:
    return tuple(map(float, value.split(b"\\")))


def _text(value: bytes) -> str:
    return value.decode().rstrip(" ")


_UID = re.compile(rb"[0-9.]{1,64}\0?")
_NUMBER = re.compile(_DECIMAL + rb" ?")
_POSITION = re.compile(rb"\\".join([_DECIMAL] * 3) + rb" ?")
_DISCRIMINATORS = {
    "IS": re.compile(rb"|[0-9]{1,9} ?"),
    "DS": re.compile(rb"|" + _DECIMAL + rb" ?"),
    "TM": re.compile(rb"|[0-9]{2,6} ?|[0-9]{6}\.[0-9]{1,6} ?"),
}

_DISCRIMINATOR_VRS = {keyword: dictionary_VR(keyword) for keyword in DISCRIMINATING}

SIMPLE_VALUES = {
    int(Tag(value.keyword)): value
    for value in (
        SimpleValue("SOPInstanceUID", "UI", _UID, _uid, "sop_instance_uid"),
        SimpleValue("ImagePositionPatient", "DS", _POSITION, _numbers, "position_lps_mm"),
        SimpleValue("RescaleSlope", "DS", _NUMBER, float, "rescale_slope"),
        SimpleValue("RescaleIntercept", "DS", _NUMBER, float, "rescale_intercept"),
        *(
            SimpleValue(keyword, vr, _DISCRIMINATORS[vr], _text, None)
            for keyword, vr in _DISCRIMINATOR_VRS.items()
            if vr in _DISCRIMINATORS
        ),
    )
}
"""By tag."""
