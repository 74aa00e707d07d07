"""Sequences and other long elements as bytes: explicit VR little endian, every length told (PS3.5 7.5)."""

from __future__ import annotations

from struct import Struct

from dlp_lab.dicom.raw_elements import encoded_element

LARGEST_ELEMENT_BYTES = 2**32 - 2
"""A length of all ones means undefined, and lengths are even (PS3.5 7.1.1)."""

_LONG, _ITEM = Struct("<HH2sHL"), Struct("<HHL")
_ITEM_TAG = (0xFFFE, 0xE000)
_CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104


def encoded_sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of encoded items."""
    return element_start(tag, b"SQ", sum(map(len, items))) + b"".join(items)


def element_start(tag: int, vr: bytes, length: int) -> bytes:
    """What stands before a value, or the items of a sequence, of `length` bytes in an element that may be long."""
    return _LONG.pack(tag >> 16, tag & 0xFFFF, vr, 0, length)


def encoded_item(*elements: bytes) -> bytes:
    """An item of encoded elements, which are given in growing order of their tags."""
    content = b"".join(elements)
    return _ITEM.pack(*_ITEM_TAG, len(content)) + content


def encoded_text(tag: int, vr: bytes, *values: str) -> bytes:
    """An element of ASCII text."""
    return encoded_element(tag, vr, "\\".join(values).encode("ascii"))


def encoded_code(value: str, scheme: str, meaning: str) -> bytes:
    """An item that is a coded entry (PS3.3 8.8)."""
    return encoded_item(
        encoded_text(_CODE_VALUE, b"SH", value),
        encoded_text(_CODING_SCHEME, b"SH", scheme),
        encoded_text(_CODE_MEANING, b"LO", meaning),
    )
