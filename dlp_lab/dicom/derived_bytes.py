"""The encoded headers of a derived series.

`DerivedDataSets` says what the header of a derived slice is, and pydicom encodes it. That takes milliseconds for each
slice, though the slices of a series differ in few elements. So, where the source is explicit VR little endian:

* An element that no rule reads or writes is copied as its bytes.
* The rules are applied by pydicom, each to a data set of the elements that it reads, once for all slices in which their
  bytes are the same.
* What every slice has of its own (UIDs, number, references to the source) is encoded here.

What is odd in any way is left to pydicom whole. The bytes are the same to the last one either way.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from struct import pack
from typing import Any

import pydicom
from pydicom.charset import default_encoding
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import AllTransferSyntaxes

from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import (
    EQUIPMENT,
    REPLACED,
    WINDOW,
    derived_uid,
    drop_invalid_window,
    drop_stale,
    is_stale,
)
from dlp_lab.dicom.derived_layout import COPIED, LEFT_OUT, DerivedLayout, Layouts
from dlp_lab.dicom.derived_slices import WrittenSlice
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.pixel_description import FORMAT, RESCALE, describe_pixels, set_file_meta, set_format, set_rescale
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.raw_elements import encoded_element, raw_elements
from dlp_lab.dicom.rescale import Rescale

_EXPLICIT_LITTLE_ENDIAN = frozenset(
    uid for uid in AllTransferSyntaxes if uid.is_little_endian and not uid.is_implicit_VR and not uid.is_deflated
)
_META_LENGTH, _META_UID = 0x00020000, 0x00020003
_UID, _NUMBER, _REFERENCES = Tag("SOPInstanceUID"), Tag("InstanceNumber"), Tag("SourceImageSequence")
_REFERENCED = Tag("ReferencedSOPInstanceUID")
_OWN = (_META_LENGTH, _META_UID, _UID, _NUMBER, _REFERENCES)
_PREAMBLE = b"\0" * 128 + b"DICM"
_MOST_KEPT, _MOST_READ_BYTES = 256, 2**16
"""What is remembered stays below 100 MB; real headers have some kB that the rules read."""

_CHARACTER_SET = "character set"
_SERIES, _RESCALE, _WINDOW = "series", "rescale", "window"
_READ_BY_SERIES = (
    "TimezoneOffsetFromUTC",
    "SeriesDate",
    "SeriesTime",
    "SeriesNumber",
    "SeriesDescription",
    "DerivationDescription",
    "DerivationCodeSequence",
    "ContributingEquipmentSequence",
    "LossyImageCompression",
    *EQUIPMENT,
)
_PARTS: Mapping[int, str] = {
    Tag("SpecificCharacterSet"): _CHARACTER_SET,
    **{Tag(keyword): _SERIES for keyword in _READ_BY_SERIES},
    **{Tag(keyword): _RESCALE for keyword in RESCALE},
    **{Tag(keyword): _WINDOW for keyword in WINDOW},
}
_REPLACED_TAGS = frozenset(Tag(keyword) for keyword in (*REPLACED, *FORMAT))


@lru_cache(4096)
def _fate(tag: int, vr: bytes, is_empty: bool) -> str | None:
    """What becomes of an element of the source."""
    if tag < 0x00080000:  # file meta information, which is made anew, or what belongs in no file
        return LEFT_OUT if tag >> 16 == 2 else None
    if tag in _REPLACED_TAGS or is_stale(BaseTag(tag)) or tag & 0xFFFF == 0:  # pydicom writes no group lengths
        return LEFT_OUT
    if tag in _PARTS:
        return _PARTS[tag]
    # sequences may hold private elements; an empty UN gets the VR of the dictionary: each is a part of its own
    return f"{tag:08x}" if vr == b"SQ" or (vr == b"UN" and is_empty) else COPIED


@dataclass(frozen=True, eq=False)
class _Assembly:
    """What the headers of some slices are put together from.

    Attributes:
        pieces: Bytes that all have; where in the source's header what is copied lies; the tag of what each has of its
            own.
        meta_bytes: How long the file meta information is that all have.
    """

    pieces: tuple[bytes | slice | int, ...]
    meta_bytes: int

    @classmethod
    def of(cls, copied: Iterable[tuple[int, slice]], made: Mapping[int, bytes], pixels: bytes) -> _Assembly:
        """Of what is copied, what was made by the rules, and the beginning of the pixels."""
        entries: dict[int, bytes | slice | int] = {**dict(copied), **made, **{tag: tag for tag in _OWN}}
        pieces: list[bytes | slice | int] = [_PREAMBLE]
        for tag in sorted(entries):
            entry, last = entries[tag], pieces[-1]
            if isinstance(entry, bytes) and isinstance(last, bytes):
                pieces[-1] = last + entry
            elif isinstance(entry, slice) and isinstance(last, slice) and last.stop == entry.start:
                pieces[-1] = slice(last.start, entry.stop)
            else:
                pieces.append(entry)
        meta = [len(value) for tag, value in made.items() if tag >> 16 == 2 and tag not in _OWN]
        return cls((*pieces, pixels), sum(meta))

    def put_together(self, encoded: bytes, own: dict[int, bytes]) -> bytes:
        """The header of the slice whose source has the header `encoded`, and that has the elements `own`."""
        own[_META_LENGTH] = encoded_element(_META_LENGTH, b"UL", pack("<L", self.meta_bytes + len(own[_META_UID])))
        return b"".join(
            [
                piece if type(piece) is bytes else encoded[piece] if type(piece) is slice else own[piece]  # type: ignore[index]
                for piece in self.pieces
            ]
        )


class DerivedHeaders:
    """Encodes the headers of a derived series.

    Args:
        made: Its data sets.
        rows, columns: Of its slices.
    """

    def __init__(self, made: DerivedDataSets, rows: int, columns: int) -> None:
        self._made = made
        self._size = rows, columns
        self._pixels = pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 2 * rows * columns)
        self._series_uid = made.series_uid
        self._layouts = Layouts(_fate)
        self._assemblies: dict[Hashable, _Assembly | None] = {}
        self._parts: dict[Hashable, dict[int, bytes] | None] = {}
        self._references: dict[int, bytes] = {}
        self._around_uid: dict[str, tuple[bytes, bytes]] = {}
        others = [_data_set(item) for item in made.other_references()]
        self._others = b"".join(pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in others)

    def encode(self, place: WrittenSlice, number: int, rescale: Rescale) -> bytes:
        """All that comes before the pixels in the file of the slice at `place`, the `number`th that is written, from 0.

        Raises:
            Exception: Of many kinds, for an element that pydicom cannot read; see `broken_elements_named`.
        """
        return self.encode_from_bytes(place, number, rescale) or self.encode_by_pydicom(place, number, rescale)

    def encode_by_pydicom(self, place: WrittenSlice, number: int, rescale: Rescale) -> bytes:
        """What `encode` does, by pydicom alone: slow, and right by definition."""
        with quiet():
            ds = self._made.make(place, number)
            describe_pixels(ds, self._made.source.headers[place.header], rescale, *self._size)
            return _file(ds) + self._pixels

    def encode_from_bytes(self, place: WrittenSlice, number: int, rescale: Rescale) -> bytes | None:
        """The same, without pydicom where it is possible; None where it is not."""
        source = self._made.source
        header = source.headers[place.header]
        is_plain = header.frame is None and source.resampling is None
        if not is_plain or header.transfer_syntax_uid not in _EXPLICIT_LITTLE_ENDIAN:
            return None
        encoded = source.encoded_header(place.header)
        layout = self._layouts.of(encoded)
        assembly = None if layout is None else self._assembly(layout, encoded, header, rescale)
        return None if assembly is None else assembly.put_together(encoded, self._own_elements(place, number))

    def _own_elements(self, place: WrittenSlice, number: int) -> dict[int, bytes]:
        uid = derived_uid(self._series_uid, str(number)).encode()
        references = b"".join([*(self._reference(h) for h in place.contributing), self._others])
        return {
            _META_UID: encoded_element(_META_UID, b"UI", uid),
            _UID: encoded_element(_UID, b"UI", uid),
            _NUMBER: encoded_element(_NUMBER, b"IS", b"%d" % (number + 1)),
            _REFERENCES: pack("<HH2sHL", 0x0008, 0x2112, b"SQ", 0, len(references)) + references,
        }

    def _reference(self, number: int) -> bytes:
        """The item of SourceImageSequence for an image of the source."""
        if number not in self._references:
            header = self._made.source.headers[number]
            uid = encoded_element(_REFERENCED, b"UI", header.sop_instance_uid.encode(default_encoding))
            if header.sop_class_uid not in self._around_uid:
                before, after = _data_set(self._made.reference(number)).split(uid)
                self._around_uid[header.sop_class_uid] = before, after
            before, after = self._around_uid[header.sop_class_uid]
            self._references[number] = pack("<HHL", 0xFFFE, 0xE000, len(before + uid + after)) + before + uid + after
        return self._references[number]

    def _assembly(self, layout: DerivedLayout, encoded: bytes, header: Header, rescale: Rescale) -> _Assembly | None:
        """What the header of a slice is put together from; None where pydicom has to make it whole."""
        read = b"".join([encoded[place] for place in layout.read])
        if len(read) > _MOST_READ_BYTES:
            return None
        key = layout, read, _series_facts(header, rescale), _rescale_facts(header, rescale)
        if key not in self._assemblies:
            _make_room(self._assemblies)
            self._assemblies[key] = self._put_together(layout, encoded, header, rescale)
        return self._assemblies[key]

    def _put_together(
        self, layout: DerivedLayout, encoded: bytes, header: Header, rescale: Rescale
    ) -> _Assembly | None:
        parts = {name: b"".join(encoded[place] for place in places) for name, places in layout.parts}
        character_set = parts.pop(_CHARACTER_SET, b"")
        made: dict[int, bytes] = {}
        # the rules for the series and the rescale also add what the source does not have
        for name in {_SERIES, _RESCALE, *parts}:
            elements = self._part(name, character_set + parts.get(name, b""), header, rescale)
            if elements is None:
                return None
            made.update(elements)
        return _Assembly.of(layout.copied, made, self._pixels)

    def _part(self, name: str, read: bytes, header: Header, rescale: Rescale) -> dict[int, bytes] | None:
        """What becomes of the elements of a part, by tag; None if pydicom makes something odd of them."""
        facts = {_SERIES: _series_facts, _RESCALE: _rescale_facts}.get(name, _no_facts)(header, rescale)
        key = name, read, facts
        if key not in self._parts:
            _make_room(self._parts)
            with quiet():
                ds = read_dataset(BytesIO(read), False, True)
                self._parts[key] = _elements(self._apply_rule(name, ds, header, rescale))
        return self._parts[key]

    def _apply_rule(self, name: str, ds: Dataset, header: Header, rescale: Rescale) -> bytes:
        """Apply a rule and encode the result, for `_SERIES` with the file meta information."""
        if name == _SERIES:
            self._made.apply_rules(ds, header, [], 0)
            set_format(ds, rescale, *self._size)
            return _file(ds)[len(_PREAMBLE) :]
        drop_stale(ds)
        if name == _RESCALE:
            set_rescale(ds, header, rescale)
        elif name == _WINDOW:
            drop_invalid_window(ds)
        return _data_set(ds)


def _series_facts(header: Header, rescale: Rescale) -> Hashable:
    """All that `apply_rules` and `set_format` look at beside the data set."""
    return header.sop_class_uid, header.modality, header.image_type, header.transfer_syntax_uid, rescale.signed


def _rescale_facts(header: Header, rescale: Rescale) -> Hashable:
    """All that `set_rescale` looks at beside the data set."""
    return header.modality, header.rescale_slope, header.rescale_intercept, rescale


def _no_facts(header: Header, rescale: Rescale) -> Hashable:
    return None


def _make_room(memo: dict[Hashable, Any]) -> None:
    if len(memo) >= _MOST_KEPT:
        memo.clear()


def _file(ds: Dataset) -> bytes:
    set_file_meta(ds)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _data_set(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def _elements(encoded: bytes) -> dict[int, bytes] | None:
    found = raw_elements(encoded)
    if found is None or not found.complete:
        return None
    starts = [0, *(end for _, _, end in found.at.values())]
    return {tag: encoded[start:end] for (tag, (_, _, end)), start in zip(found.at.items(), starts, strict=False)}
