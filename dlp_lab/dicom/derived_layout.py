"""Where in an encoded header lies what a derived header copies, leaves out, or is made from.

Headers of one series are mostly alike: the same elements with values of the same lengths. That they are is seen at one
comparison, and saves the walk over the elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.raw_elements import PREAMBLE_BYTES, raw_elements

_COMPARED_BYTES = 2**18
_MOST_LAYOUTS = 64
"""Layouts of longer headers are not kept, nor of more lengths at once; they are found again."""

COPIED, LEFT_OUT = "copied", "left out"


@dataclass(frozen=True, eq=False)
class DerivedLayout:
    """Where the elements of an encoded header are.

    Attributes:
        copied: Tag and bytes of the elements that are copied, in growing order.
        parts: For each name of a part, the bytes of its elements.
        read: All of them. Headers in which these bytes are the same differ in what is copied alone.
    """

    copied: tuple[tuple[int, slice], ...]
    parts: tuple[tuple[str, tuple[slice, ...]], ...]
    read: tuple[slice, ...]


@dataclass(frozen=True)
class _Known:
    """A layout, and how to recognise it: by the bytes that tell what the elements are and how long."""

    layout: DerivedLayout
    mask: NDArray[np.uint8]
    masked: bytes

    def fits(self, encoded: bytes) -> bool:
        return np.bitwise_and(np.frombuffer(encoded, np.uint8), self.mask).tobytes() == self.masked


class Layouts:
    """Finds the layouts of headers.

    Args:
        fate: What is to become of an element, by its tag, its VR and whether it is empty: `COPIED`, `LEFT_OUT`, or the
            name of a part. None if that is not known.
    """

    def __init__(self, fate: Callable[[int, bytes, bool], str | None]) -> None:
        self._fate = fate
        self._known: dict[int, _Known] = {}

    def of(self, encoded: bytes) -> DerivedLayout | None:
        """The layout of a header in the format of PS3.10, explicit VR little endian; None if something is odd."""
        known = self._known.get(len(encoded))
        if known is not None and known.fits(encoded):
            return known.layout
        known = self._found(encoded)
        if known is None:
            return None
        if len(encoded) <= _COMPARED_BYTES:
            if len(self._known) == _MOST_LAYOUTS:
                self._known.clear()
            self._known[len(encoded)] = known
        return known.layout

    def _found(self, encoded: bytes) -> _Known | None:
        # file meta information is explicit VR little endian as the data set is, so one walk leads through both
        elements = raw_elements(encoded, PREAMBLE_BYTES) if encoded[128:PREAMBLE_BYTES] == b"DICM" else None
        if elements is None or not elements.complete:
            return None
        copied: list[tuple[int, slice]] = []
        parts: dict[str, list[slice]] = {}
        mask = bytearray(len(encoded))
        mask[128:PREAMBLE_BYTES] = b"\xff" * 4
        start = PREAMBLE_BYTES
        for tag, (vr, value, end) in elements.at.items():
            fate = self._fate(tag, vr, value == end)
            if fate is None:
                return None
            if fate is COPIED:
                copied.append((tag, slice(start, end)))
            elif fate is not LEFT_OUT:
                parts.setdefault(fate, []).append(slice(start, end))
            compared = end if _is_of_undefined_length(encoded, vr, value) else value
            mask[start:compared] = b"\xff" * (compared - start)
            start = end
        mask[start : start + 4] = b"\xff" * len(mask[start : start + 4])  # the tag of the pixels
        layout = DerivedLayout(
            tuple(copied),
            tuple((name, tuple(places)) for name, places in parts.items()),
            tuple(place for places in parts.values() for place in places),
        )
        bits = np.frombuffer(mask, np.uint8)
        return _Known(layout, bits, np.bitwise_and(np.frombuffer(encoded, np.uint8), bits).tobytes())


def _is_of_undefined_length(encoded: bytes, vr: bytes, value: int) -> bool:
    return vr == b"SQ" and encoded[value - 4 : value] == b"\xff\xff\xff\xff"
