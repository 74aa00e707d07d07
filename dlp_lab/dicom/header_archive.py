"""The headers of a series as bytes, and back: what lets a volume become DICOM again without the files it came from.

The encoded header of a file is all of it up to the pixels, byte for byte, in its own transfer syntax. Nothing is
decoded on the way, so nothing can be lost: decimal strings stay as written, text stays in its character set, private
elements stay. (What follows the pixels is padding, signatures of the pixels, or garbage.) It is cut into pieces at the
borders of its elements, for most elements are the same in all slices, and need to be kept only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dlp_lab.dicom.data_set import read_data_set
from dlp_lab.dicom.frames import frames_of
from dlp_lab.dicom.grid import Resampling
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.header_reading import has_preamble, parse_header
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.dicom.raw_elements import raw_elements
from dlp_lab.dicom.series import Series, assemble
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import Malformed
from dlp_lab.geometry import Geometry

_FIRST_OF_PIXELS = 0x7FE00008
_PIXEL_ELEMENT_START = 12
"""Bytes from the start of an element of pixels to its value, in explicit VR."""
_PREAMBLE_BYTES = 132
_META_GROUP = 0x0002
_NOT_WALKED = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@dataclass(frozen=True)
class CutHeader:
    """The encoded header of a file, cut into pieces.

    Attributes:
        pieces: What comes before the data set, then one piece for each element.
        walked: Whether the elements are explicit VR little endian, their tags growing, and nothing odd about them, so
            that `raw_elements` could tell them apart.
    """

    pieces: tuple[bytes, ...]
    walked: bool

    @property
    def encoded(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True)
class ArchivedSeries:
    """A series of which only the headers are at hand. A `HeaderSource`.

    Attributes:
        series: As it was put together; the paths in it lead nowhere.
        encoded: The encoded header of each image's file, in slice order.
    """

    series: Series
    encoded: tuple[bytes, ...]

    @property
    def headers(self) -> tuple[Header, ...]:
        return self.series.headers

    @property
    def geometry(self) -> Geometry:
        return self.series.geometry

    @property
    def indices(self) -> tuple[int, ...]:
        return self.series.indices

    @property
    def resampling(self) -> Resampling | None:
        return self.series.resampling

    def dataset(self, number: int) -> Dataset:
        """Decode the header of `headers[number]`."""
        return decode_header(self.encoded[number])

    def encoded_header(self, number: int) -> bytes:
        """The encoded header of `headers[number]`."""
        return self.encoded[number]


def encode_header(header: Header) -> CutHeader:
    """Cut the encoded header of a file at the borders of its elements.

    A deflated file becomes a single piece, for it has no borders to cut at.
    """
    with opened_unchanged(header) as file:
        walked = _walked_pieces(file, header)
        if walked is not None:
            return CutHeader(walked, walked=True)
        ds = read_data_set(file, part_10=not header.without_preamble)[0]
        if header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            buffer = BytesIO()
            pydicom.dcmwrite(buffer, ds)
            return CutHeader((buffer.getvalue(),), walked=False)
        return CutHeader(tuple(_pieces(file, ds, header)), walked=False)


def _walked_pieces(file: BinaryIO, header: Header) -> tuple[bytes, ...] | None:
    """The pieces by a walk over the bytes, in a small part of pydicom's time; None where pydicom has to be asked."""
    if header.transfer_syntax_uid in _NOT_WALKED or header.without_preamble or header.pixels is None:
        return None
    content = file.read(header.pixels.offset)
    # file meta information is explicit VR little endian as the data set is, so one walk leads through both
    elements = raw_elements(content, _PREAMBLE_BYTES)
    if elements is None or not elements.complete or elements.end != header.pixels.offset - _PIXEL_ELEMENT_START:
        return None
    ends = [0]
    for tag, (_, _, end) in elements.at.items():
        if tag >> 16 != _META_GROUP:
            ends.append(end)
        elif len(ends) == 1:
            ends[0] = end
        else:
            return None
    if not ends[0] or len(ends) == 1 or min(tag >> 16 for tag in elements.at) != _META_GROUP:
        return None
    return tuple(content[start:end] for start, end in pairwise([0, *ends]))


def _pieces(file: BinaryIO, ds: Dataset, header: Header) -> Iterator[bytes]:
    implicit, little = ds.original_encoding
    file.seek(0)
    # stopping at the first element leaves the file at the start of the data set
    read_partial(file, stop_when=lambda tag, vr, length: True, force=header.without_preamble)
    ends = [0, file.tell()]
    for _ in data_element_generator(file, bool(implicit), bool(little), stop_when=_at_pixels):
        ends.append(file.tell())
    for start, end in pairwise(ends):
        file.seek(start)
        yield file.read(end - start)


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return tag >= _FIRST_OF_PIXELS


def decode_header(encoded: bytes) -> Dataset:
    """The data set of an encoded header, which has no pixels."""
    return read_data_set(BytesIO(encoded), part_10=has_preamble(encoded))[0]


def series_from_headers(
    encoded: Sequence[bytes],
    name: str,
    options: ReadOptions = DEFAULT_OPTIONS,
    frames: Sequence[tuple[int, int]] = (),
) -> ArchivedSeries:
    """Put a series together from its headers alone, by the rules for a series of files.

    Args:
        encoded: One for each file, in any order.
        name: What the headers lie in; messages name it and the header.
        options: How the series was read; the images were chosen by then, so the repairs alone count.
        frames: Of multi-frame files, for each image the index of its header and of its frame.

    Raises:
        DicomError: They make no volume for certain; the class and the message tell why.
    """
    found: dict[str, bytes] = {}
    images: list[list[Header]] = []
    for k, blob in enumerate(encoded):
        path = Path(f"{name}[{k}]")
        header = parse_header(BytesIO(blob), path, part_10=has_preamble(blob))
        if isinstance(header, Ignored):
            raise Malformed(f"the header of slice {k} in {name} cannot be used: {header.reason}")
        images.append(frames_of(header, BytesIO(blob)) if frames else [header])
        found[path.name] = blob
    if any(not 0 <= frame < len(images[k]) for k, frame in frames):
        raise Malformed(f"{name} names frames that its headers do not have; make the file again")
    headers = [images[k][frame] for k, frame in frames] if frames else [header for (header,) in images]
    repairs = ReadOptions(gaps=options.gaps, irregular=options.irregular, tilt=options.tilt)
    series = assemble(headers, repairs, with_pixels=False)
    return ArchivedSeries(series, tuple(found[header.path.name] for header in series.headers))
