"""A derived series beside its source, slice by slice, as data sets: what the rules look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag, Tag

from dlp_lab.dicom.header import Header
from dlp_lab.geometry import POSITION_TOLERANCE_MM

RESAMPLED = "113085"
"""Code of CID 7203 (PS3.16): the grid of a derived image that declares it is not that of its source."""

_PIXEL_DATA = Tag("PixelData")
_LARGE_BYTES = 1 << 14
_BINARY = ("SQ", "US", "SS", "UL", "SL", "FL", "FD", "AT", "OB", "OW", "UN")
"""The bytes of these depend on the transfer syntax, so their values are compared."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One file, without its pixels.

    Attributes:
        header: As dlp-lab reads it.
        ds: All of the data set but the pixels.
        as_stored: The elements of `ds` before anything decoded them.
    """

    header: Header
    ds: FileDataset
    as_stored: dict[BaseTag, Any]

    def differs_in(self, other: Slice, tag: BaseTag | str) -> bool:
        """Whether an element is not the same here and there.

        Text is compared byte for byte, but for the padding at its end, which says nothing (PS3.5 6.2); the rest by
        value.
        """
        tag = Tag(tag)
        mine, theirs = self.as_stored.get(tag), other.as_stored.get(tag)
        if mine is None or theirs is None:
            return mine is not theirs
        if self.ds[tag].VR not in _BINARY and isinstance(mine.value, bytes) and isinstance(theirs.value, bytes):
            return bool(mine.value.rstrip(b" \0") != theirs.value.rstrip(b" \0"))
        return bool(self.ds[tag].value != other.ds[tag].value)


@dataclass(frozen=True, eq=False)
class DerivedSlice(Slice):
    """One derived file.

    Attributes:
        source: The source slice nearest to it.
        at_place_of_source: Whether that one lies at the same place.
    """

    source: Slice
    at_place_of_source: bool


@dataclass(frozen=True, eq=False)
class Pair:
    """A source series and what was derived from it."""

    source: tuple[Slice, ...]
    derived: tuple[DerivedSlice, ...]

    @cached_property
    def resampled(self) -> bool:
        """Whether the derived images declare a grid of their own."""
        return any(RESAMPLED in codes_in(slice_.ds.get("DerivationCodeSequence")) for slice_ in self.derived)

    @cached_property
    def source_images(self) -> dict[str, str]:
        """SOP class by SOPInstanceUID of the source."""
        return {before.header.sop_instance_uid: before.header.sop_class_uid for before in self.source}

    @property
    def modality(self) -> str:
        """Of the source."""
        return self.source[0].header.modality


def read_pair(source: Sequence[Header], derived: Sequence[Header]) -> Pair:
    """Read both series and pair the slices by their place.

    Args:
        source, derived: Headers in any order.
    """
    before = tuple(_read_slice(header) for header in source)
    places = np.array([header.position_lps_mm or (np.nan,) * 3 for header in source], dtype=np.float64)
    return Pair(before, tuple(_beside_source(_read_slice(header), before, places) for header in derived))


def _beside_source(slice_: Slice, source: tuple[Slice, ...], places: np.ndarray[Any, Any]) -> DerivedSlice:
    position = slice_.header.position_lps_mm or (np.inf,) * 3
    distances_mm = np.linalg.norm(places - np.asarray(position), axis=1)
    nearest = int(np.argmin(distances_mm))
    same = bool(distances_mm[nearest] <= POSITION_TOLERANCE_MM)
    return DerivedSlice(slice_.header, slice_.ds, slice_.as_stored, source[nearest], same)


def _read_slice(header: Header) -> Slice:
    # what follows the pixels, such as signatures, is read too, and the pixels themselves are passed over
    ds = pydicom.dcmread(header.path, defer_size=_LARGE_BYTES, force=header.without_preamble)
    ds.pop(_PIXEL_DATA, None)
    return Slice(header, ds, {tag: ds.get_item(tag) for tag in list(ds.keys())})


def codes_in(sequence: Sequence[Dataset] | None) -> list[str]:
    """CodeValues of a code sequence."""
    return [str(item.get("CodeValue") or "") for item in sequence or []]
