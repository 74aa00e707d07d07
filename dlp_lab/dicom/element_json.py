"""The DICOM JSON model (PS3.18 F.2) of single elements, made from their bytes without pydicom.

What is made here is what pydicom makes. Values that are plain beyond doubt are known; of all others, such as decimals
with an exponent, texts in a character set or sequences, nothing is said, and pydicom is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from struct import unpack
from typing import Any

_HEAD_BYTES = 8
"""Of an element with a short length, before its value."""

_UID = re.compile(rb"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_UID_BYTES = 64
_DECIMALS = re.compile(rb"-?[0-9]{1,6}(\.[0-9]{1,8})?(\\-?[0-9]{1,6}(\.[0-9]{1,8})?)*")
_INTEGERS = re.compile(rb"-?[0-9]{1,9}(\\-?[0-9]{1,9})*")
_DATE = re.compile(rb"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])")
_TIME = re.compile(rb"([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](\.[0-9]{1,6})?")

Values = list[Any]


def element_json(element: bytes) -> dict[str, Any] | None:
    """The model of an element in explicit VR little endian, or None if only pydicom knows."""
    vr = element[4:6]
    read = _READERS.get(vr)
    if read is None:
        return None
    name = vr.decode()
    if len(element) == _HEAD_BYTES:
        return {"vr": name}
    values = read(element[_HEAD_BYTES:])
    return None if values is None else {"vr": name, "Value": values}


def _uids(value: bytes) -> Values | None:
    text = value.removesuffix(b"\0")
    return [text.decode()] if _UID.fullmatch(text) and len(text) <= _UID_BYTES else None


def _decimals(value: bytes) -> Values | None:
    text = value.removesuffix(b" ")
    return [float(part) for part in text.split(b"\\")] if _DECIMALS.fullmatch(text) else None


def _integers(value: bytes) -> Values | None:
    text = value.removesuffix(b" ")
    return [int(part) for part in text.split(b"\\")] if _INTEGERS.fullmatch(text) else None


def _text_like(pattern: re.Pattern[bytes]) -> Callable[[bytes], Values | None]:
    def read(value: bytes) -> Values | None:
        text = value.removesuffix(b" ")
        return [text.decode()] if pattern.fullmatch(text) else None

    return read


def _binary(kind: str, size: int) -> Callable[[bytes], Values | None]:
    def read(value: bytes) -> Values | None:
        if len(value) % size:
            return None
        numbers = unpack(f"<{len(value) // size}{kind}", value)
        # JSON has no others, and DICOM JSON writes them as texts
        return list(numbers) if all(map(math.isfinite, numbers)) else None

    return read


_READERS: dict[bytes, Callable[[bytes], Values | None]] = {
    b"UI": _uids,
    b"DS": _decimals,
    b"IS": _integers,
    b"DA": _text_like(_DATE),
    b"TM": _text_like(_TIME),
    b"US": _binary("H", 2),
    b"SS": _binary("h", 2),
    b"UL": _binary("L", 4),
    b"SL": _binary("l", 4),
    b"FL": _binary("f", 4),
    b"FD": _binary("d", 8),
}
