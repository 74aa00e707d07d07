"""Headers of one layout, walked all at once.

The files of a series have the same elements in the same order; values differ, and with them lengths. So the layout is
learned from one file, and others are walked in lock step: a step finds the same element in all of them. A file that has
another element somewhere falls out of step.

A layout is learned only where the bytes leave no doubt what pydicom makes of them. What pydicom skips unread, such as a
sequence of defined length, is a single element here, too; what it walks through, a sequence of undefined length, is
walked through here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from dlp_lab.dicom.data_set import ANY_PIXELS, UNDEFINED_LENGTH

ROOM_BYTES = 16
"""Zeros that must follow each header, so that a walk which leaves it finds nothing that could be an element."""

_FIRST_ELEMENT_AT, _META_GROUP, _GROUP_LENGTH = 132, b"\x02\0", 0x00020000
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_PLAIN, _VR_AND_LENGTH, _LENGTH = Struct("<HHL"), Struct("<2sH"), Struct("<L")
_TWO_BYTES, _FOUR_BYTES, _SIX_BYTES = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFF

Integers = NDArray[np.int64]


class Form(Enum):
    """How an element begins (PS3.5 7.1)."""

    SHORT = "tag, VR, length of two bytes"
    LONG = "tag, VR, two reserved bytes, length of four bytes"
    PLAIN = "tag, length of four bytes: implicit VR, items and delimiters"


@dataclass(frozen=True)
class Step:
    """One element, item or delimiter of a layout.

    Attributes:
        tag, vr: The VR is empty where the form has none.
        form: How it begins.
        nested: It lies in a sequence.
        length: Of the value, in the file that the layout was learned from.
        same_length: In a file where it has another length, what follows might mean something else.
        into: The walk goes on within it, not behind it.
    """

    tag: int
    vr: bytes
    form: Form
    nested: bool
    length: int
    same_length: bool
    into: bool

    @property
    def start(self) -> int:
        """The bytes it begins with, up to its length, as a little endian number."""
        return int.from_bytes(_PLAIN.pack(self.tag >> 16, self.tag & 0xFFFF, 0)[:4] + self.vr, "little")


END_OF_DEFINED_ITEM = None
"""In place of a step: an item of defined length must end here."""

Layout = tuple[Step | None, ...]
"""From the first element of the file meta information to the head of the pixels' element."""


def learn_layout(header: bytes, *, implicit: bool) -> Layout:
    """The layout of one file.

    Args:
        header: The file, at least up to the value of its pixels.
        implicit: Its data set is in implicit VR, else in explicit VR; it is little endian.

    Raises:
        ValueError, struct.error, RecursionError: It is odd, or ends before its pixels.
    """
    return tuple(_elements(header, implicit))


def _elements(header: bytes, implicit: bool) -> Iterator[Step | None]:
    at = _FIRST_ELEMENT_AT
    while header[at : at + 2] == _META_GROUP:
        step, at = _element(header, at, implicit=False)
        yield step
        at += step.length
    # from the first element of the data set pydicom guesses the encoding, and in implicit VR its length may mislead it
    step, at = _element(header, at, implicit=implicit, same_length=True)
    yield step
    while step.tag not in ANY_PIXELS:
        at = (yield from _items(header, at, implicit)) if step.into else at + step.length
        step, at = _element(header, at, implicit=implicit)
        yield step


def _items(header: bytes, at: int, implicit: bool) -> Generator[Step | None, None, int]:
    """The steps through a sequence of undefined length, and where it ends."""
    while True:
        tag, length = _tag_and_length(header, at)
        at += 8
        if tag == _END_OF_SEQUENCE:
            yield _delimiter(tag, length)
            return at
        if tag != _ITEM:
            raise ValueError("a sequence that is not made of items")
        undefined = length == UNDEFINED_LENGTH
        yield Step(tag, b"", Form.PLAIN, nested=True, same_length=undefined, length=length, into=True)
        at = yield from _item(header, at, None if undefined else at + length, implicit)


def _item(header: bytes, at: int, end: int | None, implicit: bool) -> Generator[Step | None, None, int]:
    """The steps through an item that ends at `end`, or with a delimiter; and where the next begins."""
    while at != end:
        tag, length = _tag_and_length(header, at)
        if tag == _END_OF_ITEM and end is None:
            yield _delimiter(tag, length)
            return at + 8
        if end is not None and at > end:
            raise ValueError("an item that ends within an element")
        step, at = _element(header, at, implicit=implicit, nested=True)
        yield step
        at = (yield from _items(header, at, implicit)) if step.into else at + step.length
    yield END_OF_DEFINED_ITEM
    return at


def _delimiter(tag: int, length: int) -> Step:
    if length:
        raise ValueError("a delimiter with a length")
    return Step(tag, b"", Form.PLAIN, nested=True, same_length=True, length=0, into=False)


def _element(
    header: bytes, at: int, *, implicit: bool, nested: bool = False, same_length: bool = False
) -> tuple[Step, int]:
    """The step onto an element, and where its value begins."""
    tag, length = _tag_and_length(header, at)
    if tag >> 16 in (0, 0xFFFE):
        raise ValueError("a command, an item or a delimiter where an element was expected")
    form, vr, value_at = Form.PLAIN, b"", at + 8
    if not implicit:
        vr, length = _VR_AND_LENGTH.unpack_from(header, at + 4)
        form = Form.SHORT
        if vr in _LONG_VRS:
            form, (length,), value_at = Form.LONG, _LENGTH.unpack_from(header, at + 8), at + 12
        elif vr not in _SHORT_VRS:
            raise ValueError("a VR that is not known")
    into = length == UNDEFINED_LENGTH and tag not in ANY_PIXELS
    if into and (vr.decode() or dictionary_VR(tag)) != "SQ":
        raise ValueError("an element of undefined length that is no sequence")
    same_length = same_length or into or tag == _GROUP_LENGTH
    return Step(tag, vr, form, nested, length, same_length, into), value_at


def _tag_and_length(header: bytes, at: int) -> tuple[int, int]:
    """Of an item, a delimiter, or an element in implicit VR."""
    group, number, length = _PLAIN.unpack_from(header, at)
    return group << 16 | number, length


class Values(NamedTuple):
    """The values of one element in many files.

    Attributes:
        step: The element.
        at: For each file where its value begins, in all rows one after the other.
        length: As declared.
    """

    step: Step
    at: Integers
    length: Integers


class HeadersInStep:
    """The beginnings of files, walked together.

    Args:
        rows: `(files, bytes)`; each file is followed by at least `ROOM_BYTES` zeros.
        layout: That of the first file.

    Attributes:
        numbers: Of the files that have the layout, and were kept since.
        values: Of all files, in the order of the layout. They mean nothing for files that do not have it.
    """

    def __init__(self, rows: NDArray[np.uint8], layout: Layout) -> None:
        self._bytes = rows.reshape(-1).data
        # at each byte the number that it and the seven behind it make; nothing is copied
        self._words: Integers = np.ndarray((rows.size - 7,), "<i8", self._bytes, strides=(1,))
        self._starts: Integers = np.arange(len(rows)) * rows.shape[1]
        self._last = self._starts + rows.shape[1] - ROOM_BYTES
        self.values: list[Values] = []
        self.numbers: Integers = np.flatnonzero(self._walk(layout))

    def _walk(self, layout: Layout) -> NDArray[np.bool_]:
        """Note where all values are; which files are in step to the end."""
        words = self._words
        ends: list[Integers] = []
        at = self._starts + _FIRST_ELEMENT_AT
        in_step: NDArray[np.bool_] = words[at - 4] & _FOUR_BYTES == int.from_bytes(b"DICM", "little")
        for step in layout:
            if step is END_OF_DEFINED_ITEM:
                in_step &= at == ends.pop()
                continue
            np.minimum(at, self._last, out=at)
            word = words[at]
            in_step &= word & (_FOUR_BYTES if step.form is Form.PLAIN else _SIX_BYTES) == step.start
            if step.form is Form.SHORT:
                at, length = at + 8, word >> 48 & _TWO_BYTES
            elif step.form is Form.PLAIN:
                at, length = at + 8, word >> 32 & _FOUR_BYTES
            else:
                at, length = at + 12, words[at + 8] & _FOUR_BYTES
            if step.same_length:
                in_step &= length == step.length
            if not in_step.any():
                break
            self.values.append(Values(step, at, length))
            if not step.into:
                at = at + length
            elif step.length != UNDEFINED_LENGTH:
                ends.append(at + length)
        return in_step

    def keep(self, these: NDArray[np.bool_]) -> None:
        """Leave the other files out."""
        self.numbers = self.numbers[these]

    def offsets(self, values: Values) -> Integers:
        """Where in each file a value begins."""
        return values.at[self.numbers] - self._starts[self.numbers]

    def lengths(self, values: Values) -> Integers:
        return values.length[self.numbers]

    def same(self, values: Values) -> NDArray[np.bool_]:
        """In which files a value is that of the first file, byte for byte."""
        at = values.at[self.numbers]
        same: NDArray[np.bool_] = self.lengths(values) == values.step.length
        for place in range(0, values.step.length, 8):
            bits = 8 * min(8, values.step.length - place)
            word = self._words[np.minimum(at + place, len(self._words) - 1)]
            same &= (word ^ self._words[values.at[0] + place]) & ((1 << bits) - 1 if bits < 64 else -1) == 0
        return same

    def first(self, values: Values) -> bytes:
        """A value in the first file."""
        return bytes(self._bytes[values.at[0] : values.at[0] + values.step.length])

    def all(self, values: Values) -> list[bytes]:
        """A value in each file."""
        return [
            bytes(self._bytes[at : at + length])
            for at, length in zip(values.at[self.numbers].tolist(), self.lengths(values).tolist(), strict=True)
        ]
