"""A DICOM header as lines for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dlp_lab.dicom.quiet import quiet
from dlp_lab.viewing.volume_info import HeaderElement

MAX_ELEMENTS = 5000
_MAX_CHARACTERS = 1000
_MAX_DEPTH = 16


def header_elements(dataset: Dataset) -> list[HeaderElement]:
    """The first `MAX_ELEMENTS` elements of a header, those of sequences below their sequence."""
    with quiet():
        meta = getattr(dataset, "file_meta", None)
        lines = [*(_lines(meta, 0) if meta else ()), *islice(_lines(dataset, 0), MAX_ELEMENTS)]
    return lines[:MAX_ELEMENTS]


def _lines(dataset: Dataset, depth: int) -> Iterator[HeaderElement]:
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # pydicom raises many kinds on values that do not fit their VR
            yield HeaderElement(depth, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "", "", "its value cannot be read")
            continue
        yield HeaderElement(
            depth,
            f"({element.tag.group:04X},{element.tag.element:04X})",
            element.VR,
            _sendable(element.name),
            _sendable(_text(element)),
        )
        if element.VR == "SQ" and depth < _MAX_DEPTH:
            for item in element.value:
                yield from _lines(item, depth + 1)


def _text(element: DataElement) -> str:
    value = element.value
    if element.VR == "SQ":
        return f"{len(value)} items" if len(value) != 1 else "1 item"
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if element.VM > 1:
        return "\\".join(str(one) for one in islice(value, _MAX_CHARACTERS))
    return str(value)


def _sendable(text: str) -> str:
    cut = text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}… ({len(text)} characters)"
    return cut.encode("utf-8", "replace").decode()
