"""Where the elements of an encoded data set lie, found without decoding them: explicit VR little endian alone.

A walk over the bytes takes a small part of the time in which pydicom makes elements of them. What is odd in any way is
not walked: the caller asks pydicom then, which knows how to make sense of it, or to say what is wrong.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

PREAMBLE_BYTES = 132
"""In front of the first element of a file in the format of PS3.10."""

_PIXELS = frozenset([0x7FE00008, 0x7FE00009, 0x7FE00010])

_LONG_VRS = frozenset([b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"])
"""VRs with two reserved bytes and a length of four (PS3.5 Table 7.1-1)."""
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ODD = -1
_DEEPEST = 50
"""Sequences in one another; real ones have less than ten, and a hostile file more than Python can follow."""

_ELEMENT = Struct("<HH2sH")
_LENGTH = Struct("<L")
_ITEM_START = Struct("<HHL")


class RawElements(NamedTuple):
    """The elements of an encoded data set.

    Attributes:
        at: For each tag, in growing order: the VR, where the value begins, and where the element ends. The value ends
            there, too; one of undefined length has its delimiter within. An element begins where the one before ends.
        end: Where the walk ended: with the bytes, or before an element of pixels or one that the bytes do not hold.
        complete: Whether it ended at the pixels or with the bytes, so that no element is missing.
    """

    at: dict[int, tuple[bytes, int, int]]
    end: int
    complete: bool


def raw_elements(encoded: bytes, start: int = 0) -> RawElements | None:
    """Walk over the top level of a data set, up to its pixels.

    Args:
        encoded: The bytes, as many as there are.
        start: Where the first element begins.

    Returns:
        Where the elements are. None where something is odd: an unknown VR, reserved bytes that are not 0, tags that do
        not grow, a value of undefined length that is no well-formed sequence.
    """
    at: dict[int, tuple[bytes, int, int]] = {}
    unpack, size, end, previous = _ELEMENT.unpack_from, len(encoded), start, -1
    while end + 8 <= size:
        group, number, vr, length = unpack(encoded, end)
        tag = group << 16 | number
        if tag in _PIXELS:
            return RawElements(at, end, True)
        value = end + 8
        if vr in _LONG_VRS:
            if length:  # the reserved bytes
                return None
            value += 4
            if value > size:
                break
            (length,) = _LENGTH.unpack_from(encoded, end + 8)
        elif vr not in _SHORT_VRS:
            return None
        if tag <= previous or group == _ITEM >> 16:
            return None
        after = value + length
        if length == _UNDEFINED_LENGTH:
            if vr != b"SQ":
                return None
            after = _end_of_items(encoded, value)
            if after < 0:
                return None
        if after > size:
            break
        previous, end = tag, after
        at[tag] = vr, value, end
    return RawElements(at, end, end == size)


def _end_of_items(encoded: bytes, start: int, depth: int = 0) -> int:
    """Where a sequence of undefined length ends whose items begin at `start`; `_ODD` if it is not well-formed.

    Beyond the end of the bytes if they do not hold all of it.
    """
    at, size = start, len(encoded)
    if depth > _DEEPEST:
        return _ODD
    while at + 8 <= size:
        group, number, length = _ITEM_START.unpack_from(encoded, at)
        tag = group << 16 | number
        at += 8
        if tag == _END_OF_SEQUENCE:
            return _ODD if length else at
        if tag != _ITEM:
            return _ODD
        at = at + length if length != _UNDEFINED_LENGTH else _end_of_item(encoded, at, depth)
        if at < 0:
            return _ODD
    return size + 1


def _end_of_item(encoded: bytes, start: int, depth: int) -> int:
    """As `_end_of_items`, for an item of undefined length whose first element begins at `start`."""
    at, size = start, len(encoded)
    while at + 8 <= size:
        group, number, vr, length = _ELEMENT.unpack_from(encoded, at)
        if group << 16 | number == _END_OF_ITEM:
            return at + 8
        at += 8
        if vr in _LONG_VRS:
            if at + 4 > size:
                break
            (length,) = _LENGTH.unpack_from(encoded, at)
            at += 4
        elif vr not in _SHORT_VRS:
            return _ODD
        if length != _UNDEFINED_LENGTH:
            at += length
        elif vr != b"SQ":
            return _ODD
        else:
            at = _end_of_items(encoded, at, depth + 1)
            if at < 0:
                return _ODD
    return size + 1


def encoded_element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element with a short length, its value padded to an even one (PS3.5 6.2, 7.1.2)."""
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return _ELEMENT.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value
