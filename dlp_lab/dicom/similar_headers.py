"""Headers of many files, most of which are like one another.

pydicom takes a millisecond for a header, and in a series one header says nearly what the next one says. So pydicom
reads one. Another file that has the same elements, and in those that matter the same bytes, but for a few values that
are simple to read, has the same header with these values changed. Where there is any doubt, pydicom reads the file.
"""

from __future__ import annotations

import itertools
import os
import stat
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.dicom.data_set import UNDEFINED_LENGTH, PixelElement
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.header_layout import Step, learn_layout
from dlp_lab.dicom.header_reading import WANTED_TAGS, read_header
from dlp_lab.dicom.lock_step import ROOM_BYTES, LockStep, Values
from dlp_lab.dicom.simple_values import SIMPLE_VALUES, SimpleValue
from dlp_lab.dicom.unchanged_file import FileState
from dlp_lab.errors import DicomError

_FILES_AT_ONCE = 512
_BYTES_AT_ONCE = 4 * 2**20
_LARGEST_HEADER = 2**20
_GROWTH_BYTES = 2048
"""A header may be longer by this than the one it is like."""
_LONGEST_COMPARED = 4096
_LONGEST_PAUSE = 31
"""Where files have little in common, only one of so many is compared with the others."""

_SINGLE_FRAME = (CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage)
_META, _GROUP_LENGTH, _META_SOP_INSTANCE_UID, _CHARACTER_SET = 0x0002, 0x00020000, 0x00020003, 0x00080005
_WANTED = frozenset(map(int, WANTED_TAGS))

_NO_FILE = FileState(0, 0, 0)

Found = Header | Ignored | DicomError


def read_headers(paths: Sequence[Path], before_each: Callable[[], None] = lambda: None) -> list[Found]:
    """`read_header` of many files.

    Args:
        paths: In any order; it is fastest where the files of a series are near each other.
        before_each: Called before a file is opened; may raise, to give up.

    Returns:
        For each path what `read_header` returns or raises.
    """
    found: list[Found] = []
    for start in range(0, len(paths), _FILES_AT_ONCE):
        found += _read_some(paths[start : start + _FILES_AT_ONCE], before_each)
    return found


def _read_some(paths: Sequence[Path], before_each: Callable[[], None]) -> list[Found]:
    found: dict[int, Found] = {}
    waiting = list(range(len(paths)))
    in_vain = pause = 0
    while waiting:
        number, *waiting = waiting
        before_each()
        header = found[number] = _read_one(paths[number])
        if not isinstance(header, Header) or not _may_be_followed(header):
            continue
        if pause:
            pause -= 1
            continue
        similar = _similar_to(header, [paths[other] for other in waiting], before_each)
        found.update((waiting[n], like) for n, like in similar.items())
        waiting = [other for other in waiting if other not in found]
        in_vain = 0 if similar else in_vain + 1
        pause = min(2**in_vain - 1, _LONGEST_PAUSE)
    return [found[number] for number in range(len(paths))]


def _read_one(path: Path) -> Found:
    try:
        return read_header(path)
    except DicomError as error:
        return error


def _may_be_followed(header: Header) -> bool:
    return (
        header.sop_class_uid in _SINGLE_FRAME
        and header.frames == 1
        and not header.uids_from_meta
        and header.pixels is not None
        and header.pixels.offset <= _LARGEST_HEADER
    )


def _similar_to(header: Header, paths: Sequence[Path], before_each: Callable[[], None]) -> dict[int, Header]:
    """The headers of those files, by number, that are like one that was read."""
    assert header.pixels is not None
    row_bytes = header.pixels.offset + _GROWTH_BYTES
    files = max(1, _BYTES_AT_ONCE // row_bytes)
    similar: dict[int, Header] = {}
    for start in range(0, len(paths), files):
        beginnings = _read_beginnings([header.path, *paths[start : start + files]], row_bytes, before_each)
        like_first = _like_first(header, header.pixels, beginnings)
        similar.update((start + n - 1, like) for n, like in like_first.items() if n)
    return similar


@dataclass(frozen=True, eq=False)
class _Beginnings:
    """The first bytes of files.

    Attributes:
        paths: Of the files.
        rows: `(files, bytes)`, zero where there is nothing.
        present_bytes: How many bytes of each row are the file's.
        states: Of each file, before its bytes were read.
    """

    paths: Sequence[Path]
    rows: NDArray[np.uint8]
    present_bytes: NDArray[np.int64]
    states: list[FileState]


def _read_beginnings(paths: Sequence[Path], row_bytes: int, before_each: Callable[[], None]) -> _Beginnings:
    rows = np.zeros((len(paths), row_bytes + ROOM_BYTES), np.uint8)
    present_bytes, states = [], []
    for path, row in zip(paths, rows[:, :row_bytes], strict=True):
        before_each()
        present, state = _read_beginning(path, row)
        present_bytes.append(present)
        states.append(state)
    return _Beginnings(paths, rows, np.array(present_bytes), states)


def _read_beginning(path: Path, row: NDArray[np.uint8]) -> tuple[int, FileState]:
    """How many bytes were read, and the file's state before. None where `read_header` may have something to say."""
    try:
        # a pipe must not make us wait for who writes into it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return 0, _NO_FILE
            return os.readv(descriptor, [row.data]), FileState.from_status(status)
        finally:
            os.close(descriptor)
    except OSError:
        return 0, _NO_FILE


def _like_first(header: Header, pixels: PixelElement, beginnings: _Beginnings) -> dict[int, Header]:
    """The headers of those files, by number, that are like that of the first, which is `header`."""
    try:
        layout = learn_layout(beginnings.rows[0, : pixels.offset].tobytes(), implicit=pixels.vr is None)
    except (ValueError, struct.error, RecursionError):
        return {}
    walked = LockStep(beginnings.rows, layout)
    if 0 not in walked.files:
        return {}
    *elements, pixel_element = walked.values
    walked.keep(walked.offsets(pixel_element) <= beginnings.present_bytes[walked.files])
    changing: dict[SimpleValue, Values] = {}
    for values in elements:
        simple = _simple_value(values.step, walked.first(values))
        if simple is not None:
            changing[simple] = values
        elif _must_be_same(values.step):
            if values.step.length > _LONGEST_COMPARED:
                return {}
            walked.keep(walked.same(values))
            if values.step.tag in SIMPLE_VALUES:  # if it is there twice, pydicom takes the last
                changing.pop(SIMPLE_VALUES[values.step.tag], None)
    files = walked.files.tolist()
    states = [beginnings.states[number] for number in files]
    fields = {
        "path": [beginnings.paths[number] for number in files],
        "file_bytes": _shared([state.file_bytes for state in states]),
        "inode": [state.inode for state in states],
        "modified_ns": [state.modified_ns for state in states],
        "pixels": _pixels(pixels, walked.offsets(pixel_element), walked.lengths(pixel_element)),
        **_changed_fields(header, walked, changing),
    }
    similar = {
        number: header.with_fields(zip(fields, values, strict=True))
        for number, *values in zip(files, *fields.values(), strict=True)
        if None not in values
    }
    # only if what is made for the first is what pydicom made of it, what is made for the others can be trusted
    return similar if similar.get(0) == header else {}


def _pixels(pixels: PixelElement, offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[PixelElement]:
    places = _shared(list(zip(offsets.tolist(), lengths.tolist(), strict=True)))
    made = {
        (offset, length): PixelElement(pixels.tag, pixels.vr, offset, None if length == UNDEFINED_LENGTH else length)
        for offset, length in set(places)
    }
    return [made[place] for place in places]


def _shared(values: list[Any]) -> list[Any]:
    """The same values, equal ones being one object: what many headers have in common takes memory once."""
    known: dict[Any, Any] = {}
    return [known.setdefault(value, value) for value in values]


def _changed_fields(header: Header, walked: LockStep, changing: dict[SimpleValue, Values]) -> dict[str, list[Any]]:
    """The fields of `Header` that are not the same for all files, for each file; None where a value is not simple."""
    fields: dict[str, list[Any]] = {}
    texts: dict[str, list[str | None]] = {}
    for simple, values in changing.items():
        if not walked.same(values).all():
            column = [simple.from_bytes(value) for value in walked.all(values)]
            if simple.field is None:
                texts[simple.keyword] = column
            else:
                fields[simple.field] = column
    if texts:
        columns = [_pairs(keyword, text, texts.get(keyword)) for keyword, text in header.discriminators]
        fields["discriminators"] = [None if None in row else row for row in zip(*columns, strict=False)]
    return fields


def _pairs(keyword: str, text: str, column: list[str | None] | None) -> Iterable[tuple[str, str] | None]:
    """A discriminator of each file: that of all, where there is no column of texts of their own."""
    if column is None:
        return itertools.repeat((keyword, text))
    return [None if own is None else (keyword, own) for own in column]


def _simple_value(step: Step, value: bytes) -> SimpleValue | None:
    """How to read an element that may differ from file to file, if it is one of those, and simple in the first."""
    simple = SIMPLE_VALUES.get(step.tag)
    if simple is None or step.nested or (step.vr.decode() or dictionary_VR(step.tag)) != simple.vr:
        return None
    return simple if simple.from_bytes(value) is not None else None


def _must_be_same(step: Step) -> bool:
    """Whether an element has a part in the header, or says how to read the others."""
    if step.tag >> 16 == _META:
        return step.tag not in (_GROUP_LENGTH, _META_SOP_INSTANCE_UID)
    return step.tag == _CHARACTER_SET or (step.tag in _WANTED and not step.nested)
