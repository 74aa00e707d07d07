"""Many headers of one layout, walked all at once.

The files of a series have the same elements in the same order; values differ, and with them lengths. So one step of
numpy finds the same element in all of them. A file that has another element somewhere falls out of step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.data_set import UNDEFINED_LENGTH
from dlp_lab.dicom.header_layout import END_OF_DEFINED_ITEM, FIRST_ELEMENT_AT, Form, Layout, Step

ROOM_BYTES = 16
"""Zeros that follow each header, so that a walk beyond its end finds nothing that could be an element."""

_TWO_BYTES, _FOUR_BYTES = 0xFFFF, 0xFFFFFFFF

Integers = NDArray[np.int64]


class Values(NamedTuple):
    """The values of one element in many files.

    Attributes:
        step: The element.
        at: For each file, where its value begins, counted from the first byte of the first file.
        length: As declared.
    """

    step: Step
    at: Integers
    length: Integers


class LockStep:
    """The beginnings of files, walked together.

    Args:
        rows: `(files, bytes)`; each file is followed by at least `ROOM_BYTES` zeros.
        layout: That of the first file.

    Attributes:
        values: Of all files, in the order of the layout. They mean nothing for files that do not have it.
        files: Numbers of the files that have the layout, and were kept since.
    """

    def __init__(self, rows: NDArray[np.uint8], layout: Layout) -> None:
        self._bytes = rows.reshape(-1).data
        # at each byte the number that it and the seven behind it make; nothing is copied
        self._words: Integers = np.ndarray((rows.size - 7,), "<i8", self._bytes, strides=(1,))
        self._starts: Integers = np.arange(len(rows)) * rows.shape[1]
        self._last = self._starts + rows.shape[1] - ROOM_BYTES
        self.values: list[Values] = []
        self.files: Integers = np.flatnonzero(self._walk(layout))

    def _walk(self, layout: Layout) -> NDArray[np.bool_]:
        """Note where all values are; which files are in step to the end."""
        at = self._starts + FIRST_ELEMENT_AT
        in_step: NDArray[np.bool_] = self._words[at - 4] & _FOUR_BYTES == int.from_bytes(b"DICM", "little")
        heads: list[Integers] = []
        ends: list[Integers] = []
        for step in layout:
            if step is END_OF_DEFINED_ITEM:
                in_step &= at == ends.pop()
                continue
            np.minimum(at, self._last, out=at)
            head = self._words[at]
            heads.append(head)
            at, length = self._value(step, at, head)
            self.values.append(Values(step, at, length))
            if step.same_length:
                in_step &= length == step.length
            if not step.into:
                at = at + length
            elif step.length != UNDEFINED_LENGTH:
                ends.append(at + length)
        return in_step & self._are_as_in(layout, heads)

    def _value(self, step: Step, at: Integers, head: Integers) -> tuple[Integers, Integers]:
        """Where values begin and their lengths, from where their elements begin and the first eight bytes of these."""
        if step.form is Form.SHORT:
            return at + 8, head >> 48 & _TWO_BYTES
        if step.form is Form.PLAIN:
            return at + 8, head >> 32 & _FOUR_BYTES
        return at + 12, self._words[at + 8] & _FOUR_BYTES

    @staticmethod
    def _are_as_in(layout: Layout, heads: list[Integers]) -> NDArray[np.bool_]:
        """Which files have the tags and VRs of the layout, by the first eight bytes of their elements."""
        starts = [step.start for step in layout if step is not END_OF_DEFINED_ITEM]
        expected = np.array([int.from_bytes(start, "little") for start in starts])
        told = np.array([(1 << 8 * len(start)) - 1 for start in starts])
        return np.asarray((np.stack(heads) & told[:, None] == expected[:, None]).all(axis=0))

    def keep(self, these: NDArray[np.bool_]) -> None:
        """Leave the other files out."""
        self.files = self.files[these]

    def offsets(self, values: Values) -> Integers:
        """Where in each file a value begins."""
        return values.at[self.files] - self._starts[self.files]

    def lengths(self, values: Values) -> Integers:
        return values.length[self.files]

    def same(self, values: Values) -> NDArray[np.bool_]:
        """In which files a value is that of the first file, byte for byte."""
        at, last = values.at[self.files], len(self._words) - 1
        same: NDArray[np.bool_] = self.lengths(values) == values.step.length
        for place in range(0, values.step.length, 8):
            # the last of the words may reach beyond the value
            beyond = 8 * max(0, place + 8 - values.step.length)
            differing = self._words[np.minimum(at + place, last)] ^ self._words[values.at[0] + place]
            same &= differing << beyond == 0
        return same

    def first(self, values: Values) -> bytes:
        """A value in the first file."""
        return bytes(self._bytes[values.at[0] : values.at[0] + values.step.length])

    def all(self, values: Values) -> list[bytes]:
        """A value in each file."""
        ends = values.at + values.length
        return [
            bytes(self._bytes[at:end])
            for at, end in zip(values.at[self.files].tolist(), ends[self.files].tolist(), strict=True)
        ]
