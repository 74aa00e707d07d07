"""One DICOM file up to its pixels, and where the pixels are. The only module that lets pydicom read a file.

pydicom reads what a file declares: all that deflated data inflates to, every element there is. Here it is given a
bounded file, and it stops where the pixels begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dlp_lab.dicom.bounded_file import MAX_HEADER_BYTES, BoundedFile, InflatedFile
from dlp_lab.dicom.element_values import element_values
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS, SHARED_GROUPS, EncodedGroups, Unfamiliar, read_groups
from dlp_lab.dicom.quiet import quiet

PIXEL_DATA = 0x7FE00010
ANY_PIXELS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)
UNDEFINED_LENGTH = 0xFFFFFFFF
_PREAMBLE_BYTES = 132
_META_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixels of a file are.

    Attributes:
        tag: PixelData (7FE0,0010), or one of the two elements with floating point pixels.
        vr: OB, OW or whatever the file says; None in implicit VR.
        offset: Of the value's first byte, in the file or, where it is deflated, in the inflated data set.
        length: As declared; None where it is undefined, as that of compressed pixels is.
        fragments: Where the bytes of a compressed frame of several begin in the file, and how many they are.
    """

    tag: int
    vr: str | None
    offset: int
    length: int | None
    fragments: tuple[tuple[int, int], ...] | None = None


def read_data_set(
    file: BinaryIO, *, part_10: bool, tags: Sequence[BaseTag | int] | None = None
) -> tuple[FileDataset, PixelElement | None]:
    """Read a data set up to its pixels.

    Args:
        file: Open for reading, at any position.
        part_10: It has the preamble of PS3.10; otherwise it is a bare data set.
        tags: Of the elements to read; all by default.

    Returns:
        The data set, and where its pixels are; None where there are none.

    Raises:
        TooLarge: The header goes beyond the limits.
        Exception: Of about eight kinds, for a broken file.
    """
    if tags is not None and not {SHARED_GROUPS, PER_FRAME_GROUPS} & {int(tag) for tag in tags}:
        try:
            ds, pixels, _ = read_with_groups(file, part_10=part_10, tags=tags)
        except Unfamiliar:
            pass
        else:
            return ds, pixels
    source = _Source(file, part_10, ANY_PIXELS)
    return source.read(None if tags is None else list(tags)), source.stopped


def read_with_groups(
    file: BinaryIO, *, part_10: bool, tags: Sequence[BaseTag | int]
) -> tuple[FileDataset, PixelElement | None, EncodedGroups | None]:
    """`read_data_set` of elements before the functional groups of a multi-frame file, and these groups as bytes.

    The groups are None where the file has none.

    Raises:
        Unfamiliar: Only pydicom can read them.
        TooLarge, Exception: As `read_data_set`.
    """
    source = _Source(file, part_10, (*ANY_PIXELS, SHARED_GROUPS, PER_FRAME_GROUPS))
    ds = source.read(list(tags))
    if source.stopped is None or source.stopped.tag not in (SHARED_GROUPS, PER_FRAME_GROUPS):
        return ds, source.stopped, None
    implicit, little = ds.original_encoding
    start = source.stopped_at
    groups, pixels = read_groups(source.file, start, bool(implicit), bool(little))
    if pixels is None:
        return ds, None, groups
    tag, vr, offset, length = pixels
    return ds, PixelElement(tag, vr.decode() or None, start + offset, length), groups


class _Source:
    """A file that pydicom may read, up to an element of certain tags.

    Attributes:
        file: What is read of it.
        stopped: Where its value begins; None if there is no such element.
        stopped_at: Where the element begins.
    """

    def __init__(self, file: BinaryIO, part_10: bool, stop: Sequence[int]) -> None:
        self._opened, self._part_10, self._stop = file, part_10, stop
        self.file: BoundedFile | InflatedFile = BoundedFile(file)
        self.stopped: PixelElement | None = None
        self.stopped_at = 0

    def read(self, tags: list[BaseTag | int] | None) -> FileDataset:
        deflated = _deflated(self._opened, self._part_10)
        if deflated is not None:
            meta, self.file = deflated
            elements = read_dataset(cast(BinaryIO, self.file), False, True, stop_when=self._at, specific_tags=tags)
            ds = _bare(elements, meta)
        else:
            self._opened.seek(0)
            ds = read_partial(cast(BinaryIO, self.file), self._at, force=not self._part_10, specific_tags=tags)
        self.stopped_at = self.file.tell()
        return ds

    def _at(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag not in self._stop:
            return False
        offset = self.file.tell()
        self.stopped = PixelElement(int(tag), vr, offset, None if length == UNDEFINED_LENGTH else length)
        return True


def open_inflated(file: BinaryIO, *, part_10: bool, limit: int) -> InflatedFile:
    """The data set of a deflated file, inflated as far as it is read and at most to `limit`.

    Raises:
        ValueError: The file is not deflated.
    """
    deflated = _deflated(file, part_10, limit)
    if deflated is None:
        raise ValueError("the data set is not deflated")
    return deflated[1]


def read_header_elements(file: BinaryIO, *, part_10: bool) -> FileDataset:
    """All elements of a file before its pixels. Raises as `read_data_set` does."""
    return read_data_set(file, part_10=part_10)[0]


def attribute(file: BinaryIO, keyword: str, *, part_10: bool) -> str:
    """One attribute as text, several values with a backslash between; empty where it is absent.

    Raises as `read_data_set` does.
    """
    with quiet():
        ds, _ = read_data_set(file, part_10=part_10, tags=[Tag(keyword)])
        return "\\".join(map(str, element_values(ds, keyword) or ()))


def _deflated(file: BinaryIO, part_10: bool, limit: int = MAX_HEADER_BYTES) -> tuple[Dataset, InflatedFile] | None:
    """File meta information and inflated data set, if the file is deflated."""
    file.seek(0)
    if DeflatedExplicitVRLittleEndian.encode() not in file.read(_META_BYTES):
        return None  # almost all files; if it is farther on, `BoundedFile` does not give all at once
    file.seek(_PREAMBLE_BYTES if part_10 else 0)
    meta = read_dataset(cast(BinaryIO, BoundedFile(file)), False, True, stop_when=_beyond_meta)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    return meta, InflatedFile(file, limit)


def _beyond_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _bare(elements: Dataset, meta: Dataset) -> FileDataset:
    ds = FileDataset("", elements, file_meta=FileMetaDataset(meta), is_implicit_VR=False, is_little_endian=True)
    ds.set_original_encoding(False, True, elements.original_character_set)
    return ds
