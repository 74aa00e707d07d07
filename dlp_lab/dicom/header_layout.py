"""The layout of a header: which elements follow each other in it, whatever their values are.

A layout is learned only where the bytes leave no doubt what pydicom makes of them. What pydicom skips unread, such as a
sequence of defined length, is one step here, too; what it goes into, a sequence of undefined length, is gone into here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum
from struct import Struct

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from dlp_lab.dicom.data_set import ANY_PIXELS, UNDEFINED_LENGTH

FIRST_ELEMENT_AT = 132
"""Behind the preamble and the prefix DICM (PS3.10 7.1)."""

_META_GROUP, _GROUP_LENGTH = b"\x02\0", 0x00020000
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_PLAIN, _TAG, _VR_AND_LENGTH, _LENGTH = Struct("<HHL"), Struct("<HH"), Struct("<2sH"), Struct("<L")


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
    def start(self) -> bytes:
        """What it begins with, up to its length or to the bytes that are reserved."""
        return _TAG.pack(self.tag >> 16, self.tag & 0xFFFF) + self.vr


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
    at = FIRST_ELEMENT_AT
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
            yield _delimiter(tag)
            return at
        if tag != _ITEM:
            raise ValueError("a sequence that is not made of items")
        undefined = length == UNDEFINED_LENGTH
        yield Step(tag, b"", Form.PLAIN, nested=True, same_length=undefined, length=length, into=True)
        at = yield from _item(header, at, None if undefined else at + length, implicit)


def _item(header: bytes, at: int, end: int | None, implicit: bool) -> Generator[Step | None, None, int]:
    """The steps through an item that ends at `end`, or with a delimiter; and where the next begins."""
    while at != end:
        tag, _ = _tag_and_length(header, at)
        if tag == _END_OF_ITEM and end is None:
            yield _delimiter(tag)
            return at + 8
        if end is not None and at > end:
            raise ValueError("an item that ends within an element")
        step, at = _element(header, at, implicit=implicit, nested=True)
        yield step
        at = (yield from _items(header, at, implicit)) if step.into else at + step.length
    yield END_OF_DEFINED_ITEM
    return at


def _delimiter(tag: int) -> Step:
    return Step(tag, b"", Form.PLAIN, nested=True, length=0, same_length=True, into=False)


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
    if into and vr != b"SQ" and (vr or not dictionary_has_tag(tag) or dictionary_VR(tag) != "SQ"):
        raise ValueError("an element of undefined length that is no sequence")
    same_length = same_length or into or tag == _GROUP_LENGTH
    return Step(tag, vr, form, nested, length, same_length, into), value_at


def _tag_and_length(header: bytes, at: int) -> tuple[int, int]:
    """Of an item, a delimiter, or an element in implicit VR."""
    group, number, length = _PLAIN.unpack_from(header, at)
    return group << 16 | number, length
