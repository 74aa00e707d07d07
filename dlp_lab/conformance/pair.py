"""A derived series beside its source, slice by slice, as data sets: what the rules look at.

A frame of a multi-frame file is a slice like any other: see `unfolding`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ParametricMapStorage

from dlp_lab.conformance.unfolding import frame_header, has_frames, unfolded
from dlp_lab.dicom.header import Header
from dlp_lab.geometry import POSITION_TOLERANCE_MM

RESAMPLED = "113085"
"""Code of CID 7203 (PS3.16): the grid of a derived image that declares it is not that of its source."""

Form = Literal["series", "multiframe", "parametric_map"]
"""What a result is: files of one image each, one multi-frame file, or one Parametric Map."""

_PIXELS = (Tag("PixelData"), Tag("FloatPixelData"))
_LARGE_BYTES = 1 << 14
_BINARY = ("SQ", "US", "SS", "UL", "SL", "FL", "FD", "AT", "OB", "OW", "UN")
"""The bytes of these depend on the transfer syntax, so their values are compared."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One file of one image, or one frame, without its pixels.

    Attributes:
        header: As dlp-lab reads it, with the place and the rescale of the frame.
        ds: All of the data set but the pixels.
        as_stored: The elements of `ds` before anything decoded them.
        frame: Which frame of the file it is, from 0; None in a file of one image.
    """

    header: Header
    ds: FileDataset
    as_stored: dict[BaseTag, Any]
    frame: int | None

    @property
    def name(self) -> str:
        """What a finding calls it; frames are counted from 1, as in DICOM."""
        return self.header.path.name if self.frame is None else f"{self.header.path.name} frame {self.frame + 1}"

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
        return bool(_without_private(self.ds[tag]) != _without_private(other.ds[tag]))


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
    """A source series and what was derived from it.

    Attributes:
        source: The series on whose grid the result lies.
        derived: The result.
        other_images: SOP class by SOPInstanceUID of other series that it was made from too.
    """

    source: tuple[Slice, ...]
    derived: tuple[DerivedSlice, ...]
    other_images: Mapping[str, str] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """What the result is."""
        first = self.derived[0]
        if first.ds.get("SOPClassUID") == ParametricMapStorage:
            return "parametric_map"
        return "series" if first.frame is None else "multiframe"

    @cached_property
    def derived_files(self) -> dict[Path, DerivedSlice]:
        """The first slice of each derived file."""
        return {slice_.header.path: slice_ for slice_ in reversed(self.derived)}

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


def read_pair(source: Sequence[Header], derived: Sequence[Header], others: Sequence[Header] = ()) -> Pair:
    """Read both series and pair the slices by their place.

    Args:
        source, derived: Headers in any order.
        others: Of the other series that the result was made from too.
    """
    before = read_slices(source)
    places = np.array([slice_.header.position_lps_mm or (np.nan,) * 3 for slice_ in before], dtype=np.float64)
    return Pair(
        before,
        tuple(_beside_source(slice_, before, places) for slice_ in _read_slices(derived)),
        {header.sop_instance_uid: header.sop_class_uid for header in others},
    )


def read_slices(headers: Sequence[Header]) -> tuple[Slice, ...]:
    """The data sets of slices, in any order."""
    return tuple(_read_slices(headers))


def _beside_source(slice_: Slice, source: tuple[Slice, ...], places: np.ndarray[Any, Any]) -> DerivedSlice:
    position = slice_.header.position_lps_mm or (np.inf,) * 3
    distances_mm = np.linalg.norm(places - np.asarray(position), axis=1)
    nearest = int(np.argmin(distances_mm))
    same = bool(distances_mm[nearest] <= POSITION_TOLERANCE_MM)
    return DerivedSlice(slice_.header, slice_.ds, slice_.as_stored, slice_.frame, source[nearest], same)


def _read_slices(headers: Sequence[Header]) -> Iterator[Slice]:
    wanted: dict[Path, list[Header]] = {}
    for header in headers:
        wanted.setdefault(header.path, []).append(header)
    for header, *others in wanted.values():
        # what follows the pixels, such as signatures, is read too, and the pixels themselves are passed over
        ds = pydicom.dcmread(header.path, defer_size=_LARGE_BYTES, force=header.without_preamble)
        for tag in _PIXELS:
            ds.pop(tag, None)
        if not has_frames(ds):
            yield Slice(header, ds, _as_stored(ds), None)
            continue
        chosen = {one.frame for one in (header, *others)}  # a volume may be made of some frames alone
        for number, flat in enumerate(unfolded(ds)):
            if number not in chosen and None not in chosen:
                continue
            yield Slice(frame_header(header, flat), flat, _as_stored(flat), number)


def _without_private(element: DataElement) -> Any:
    """Its value; private elements in a sequence are left out, for `private-absent` is about them."""
    if element.VR != "SQ":
        return element.value
    items = copy.deepcopy(element.value)
    for item in items:
        item.remove_private_tags()
    return items


def _as_stored(ds: FileDataset) -> dict[BaseTag, Any]:
    return {tag: ds.get_item(tag) for tag in list(ds.keys())}


def codes_in(sequence: Sequence[Dataset] | None) -> list[str]:
    """CodeValues of a code sequence."""
    return [str(item.get("CodeValue") or "") for item in sequence or []]
