"""Functional groups as bytes: elements are walked over, and only those that are asked for are looked at.

pydicom makes objects of all of them, which takes longer than reading the pixels does, and a file may declare millions.
What is not understood here for certain is left to pydicom (`Unfamiliar`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from dlp_lab.dicom.bounded_file import MAX_HEADER_BYTES
from dlp_lab.errors import TooLarge

SHARED_GROUPS, PER_FRAME_GROUPS = 0x52009229, 0x52009230
MAX_STEPS = 1_000_000
"""Elements and items that may be walked over; the longest files of scanners have about 300 000."""

_FIRST_BYTES = 2**20
"""Read at first; more if it does not suffice."""
_FIRST_OF_PIXELS, _LAST_OF_PIXELS = 0x7FE00008, 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())

Place = tuple[bytes, int, int]
"""VR (empty in implicit VR), and where a value begins and ends."""
Item = dict[int, Place]
"""Elements of an item by tag."""


Element = tuple[int, bytes, int, int | None]
"""Tag, VR, where the value begins, and its length; None if a delimiter tells."""


class Source(Protocol):
    """A file as far as it is needed here."""

    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Unfamiliar(Exception):
    """The bytes are not what this module knows; they may be right all the same."""


class EndOfData(Exception):
    """There are fewer bytes than it takes; there may be more in the file."""


@dataclass
class EncodedElements:
    """Encoded elements, in the order of bytes and with or without VR as in their file.

    Attributes:
        data: The bytes.
        implicit: They have no VR.
        little: They are little endian.
        complete: The file ends with them.
    """

    data: bytes
    implicit: bool
    little: bool
    complete: bool
    _steps: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        order = "<" if self.little else ">"
        self._item = struct.Struct(f"{order}HHL")
        self._explicit = struct.Struct(f"{order}HH2sH")
        self._long = struct.Struct(f"{order}L")

    def items(self, at: int, end: int | None) -> tuple[list[Item], int]:
        """The items of a sequence, and where what follows it begins.

        Args:
            at: Where the first item begins.
            end: Where the last one ends; None if a delimiter tells.
        """
        found: list[Item] = []
        while end is None or at < end:
            tag, length = self._item_header(at)
            at += 8
            if tag == _SEQUENCE_END and end is None:
                return found, at
            if tag != _ITEM:
                raise Unfamiliar
            item, at = self.elements(at, None if length == _UNDEFINED_LENGTH else self.within(at + length, end))
            found.append(item)
        return found, at

    def elements(self, at: int, end: int | None) -> tuple[Item, int]:
        """The elements of an item, and where what follows it begins; `end` as in `items`."""
        found: Item = {}
        while end is None or at < end:
            tag, vr, at, length = self.element(at)
            if tag == _ITEM_END and end is None:
                return found, at
            if length is None:
                start, at = at, self.behind_sequence(at)
                found[tag] = vr, start, at - 8
            else:
                found[tag] = vr, at, self.within(at + length, end)
                at += length
        return found, at

    def element(self, at: int) -> Element:
        """Tag, VR, where the value begins, and its length; None if a delimiter tells."""
        self._step()
        try:
            if self.implicit or self.data[at : at + 4] in (b"\xfe\xff\x0d\xe0", b"\xff\xfe\xe0\x0d"):
                group, number, length = self._item.unpack_from(self.data, at)
                return group << 16 | number, b"", at + 8, None if length == _UNDEFINED_LENGTH else length
            group, number, vr, short = self._explicit.unpack_from(self.data, at)
            if vr in _SHORT:
                return group << 16 | number, vr, at + 8, short
            if vr not in _LONG:
                raise Unfamiliar
            (length,) = self._long.unpack_from(self.data, at + 8)
        except struct.error:
            raise EndOfData from None
        if length != _UNDEFINED_LENGTH:
            return group << 16 | number, vr, at + 12, length
        if vr not in (b"SQ", b"OB", b"OW"):
            raise Unfamiliar
        return group << 16 | number, vr, at + 12, None

    def behind_sequence(self, at: int) -> int:
        """Where what follows a sequence of undefined length begins; `at` is its first item."""
        inside_item = [False]
        while inside_item:
            if not inside_item[-1]:
                tag, length = self._item_header(at)
                at += 8
                if tag == _SEQUENCE_END:
                    inside_item.pop()
                elif tag != _ITEM:
                    raise Unfamiliar
                elif length == _UNDEFINED_LENGTH:
                    inside_item.append(True)
                else:
                    at = self.within(at + length, None)
            else:
                tag, _, at, element_length = self.element(at)
                if tag == _ITEM_END:
                    inside_item.pop()
                elif element_length is None:
                    inside_item.append(False)
                else:
                    at = self.within(at + element_length, None)
        return at

    def _item_header(self, at: int) -> tuple[int, int]:
        self._step()
        try:
            group, number, length = self._item.unpack_from(self.data, at)
        except struct.error:
            raise EndOfData from None
        return group << 16 | number, length

    def within(self, place: int, end: int | None) -> int:
        """The place, if it is not behind `end` and the data."""
        if end is not None and place > end:
            raise Unfamiliar
        if place > len(self.data):
            raise EndOfData
        return place

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooLarge(f"its functional groups have more than {MAX_STEPS} elements and items")


@dataclass(frozen=True)
class EncodedGroups:
    """Functional groups of a file.

    Attributes:
        elements: What they are encoded in.
        shared: The groups that all frames share.
        per_frame: The groups of each frame; none where the sequence is absent.
    """

    elements: EncodedElements
    shared: Item
    per_frame: list[Item]


def read_groups(source: Source, start: int, implicit: bool, little: bool) -> tuple[EncodedGroups, Element | None]:
    """Walk from the first functional group to the pixels; see `walk_groups`.

    Args:
        source: A file.
        start: Where in it the groups begin.
        implicit, little: Its encoding.
    """
    size = _FIRST_BYTES
    while True:
        source.seek(start)
        data = source.read(size)
        complete = len(data) < size
        try:
            return walk_groups(EncodedElements(data, implicit, little, complete))
        except EndOfData:
            if complete:
                raise Unfamiliar from None
        if size >= MAX_HEADER_BYTES:
            raise TooLarge(f"its functional groups have more than {MAX_HEADER_BYTES >> 20} MiB")
        size *= 8


def walk_groups(elements: EncodedElements) -> tuple[EncodedGroups, Element | None]:
    """Walk from the first functional group to the pixels.

    Returns:
        The groups, and the element with the pixels; None if there is none.

    Raises:
        Unfamiliar, EndOfData, TooLarge: As the classes say.
    """
    sequences: dict[int, list[Item]] = {SHARED_GROUPS: [], PER_FRAME_GROUPS: []}
    pixels = None
    for tag, place in _top_level(elements):
        if _FIRST_OF_PIXELS <= tag <= _LAST_OF_PIXELS:
            pixels = place
            break
        if tag < SHARED_GROUPS:
            raise Unfamiliar  # out of order; it may be one that was asked for
        if tag in sequences:
            _, vr, at, length = place
            if vr not in (b"SQ", b""):
                raise Unfamiliar
            sequences[tag], _ = elements.items(at, None if length is None else at + length)
    shared = sequences[SHARED_GROUPS]
    return EncodedGroups(elements, shared[0] if shared else {}, sequences[PER_FRAME_GROUPS]), pixels


def _top_level(elements: EncodedElements) -> Iterator[tuple[int, Element]]:
    at = 0
    while not elements.complete or at < len(elements.data):
        place = tag, _, start, length = elements.element(at)
        yield tag, place
        at = elements.behind_sequence(start) if length is None else elements.within(start + length, None)
