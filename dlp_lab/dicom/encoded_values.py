"""Values of encoded functional groups, those few that a header needs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from dlp_lab.dicom.encoded_groups import EncodedElements, Item, Place, Unfamiliar

_GRADIENTS = int(Tag("DiffusionGradientDirectionSequence"))
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}


def _of_numbers(text: str) -> list[str]:
    return [value.strip() for value in text.split("\\")] if text.strip() else []


def _of_codes(text: str) -> list[str]:
    return text.split("\\") if text else []


def _single(text: str) -> list[str]:
    if "\\" in text:
        raise Unfamiliar
    return [text] if text else []


_TEXTS: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(("DS", "IS"), _of_numbers),
    "CS": _of_codes,
    **dict.fromkeys(("SH", "LO", "DT", "TM"), _single),
}


class GroupReader:
    """Reads groups of one file; most frames repeat those of others byte for byte, and these are read once."""

    def __init__(self, elements: EncodedElements) -> None:
        self._elements = elements
        self._read: dict[tuple[int, bytes], dict[str, Any]] = {}
        self._order = "<" if elements.little else ">"

    def values(self, item: Item, wanted: Mapping[int, tuple[str, ...]]) -> dict[str, Any]:
        """Attributes of the groups in an item.

        Args:
            item: With the groups.
            wanted: Their tags, and the attributes of each.

        Raises:
            Unfamiliar: Only pydicom can read a value for certain.
        """
        found: dict[str, Any] = {}
        for tag in item.keys() & wanted.keys():
            _, start, end = item[tag]
            key = tag, self._elements.data[start:end]
            values = self._read.get(key)
            if values is None:
                values = self._read[key] = self._group(item[tag], _tags(wanted[tag]))
            found.update(values)
        return found

    def _group(self, place: Place, wanted: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
        items = self._items(place)
        if not items:
            return {}
        found = self._attributes(items[0], wanted)
        if _GRADIENTS in items[0]:
            for gradient in self._items(items[0][_GRADIENTS]):
                found.update(self._attributes(gradient, wanted))
        return found

    def _items(self, place: Place) -> list[Item]:
        vr, start, end = place
        if vr not in (b"SQ", b""):
            raise Unfamiliar
        return self._elements.items(start, end)[0]

    def _attributes(self, item: Item, wanted: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
        found = {}
        for tag in item.keys() & wanted.keys():
            keyword, expected_vr = wanted[tag]
            vr, start, end = item[tag]
            if vr and vr.decode() != expected_vr:
                raise Unfamiliar
            values = self._decoded(expected_vr, self._elements.data[start:end])
            if values:
                found[keyword] = values
        return found

    def _decoded(self, vr: str, value: bytes) -> list[Any]:
        if vr in _NUMBERS:
            size = struct.calcsize(self._order + _NUMBERS[vr])
            if len(value) % size:
                raise Unfamiliar
            return list(struct.unpack(f"{self._order}{len(value) // size}{_NUMBERS[vr]}", value))
        if not value.isascii():
            raise Unfamiliar
        return _TEXTS[vr](value.decode("ascii").rstrip(" \0"))


@cache
def _tags(keywords: tuple[str, ...]) -> dict[int, tuple[str, str]]:
    return {int(Tag(keyword)): (keyword, dictionary_VR(keyword)) for keyword in keywords}
