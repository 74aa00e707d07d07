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
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dlp_lab.dicom.data_set import read_data_set, read_header_elements
from dlp_lab.dicom.frames import frames_of
from dlp_lab.dicom.grid import Resampling
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.header_reading import has_preamble, parse_header
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.dicom.series import Series, assemble
from dlp_lab.errors import Malformed
from dlp_lab.geometry import Geometry

_FIRST_OF_PIXELS = 0x7FE00008


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


def encode_header(header: Header) -> tuple[bytes, ...]:
    """The pieces of a file's encoded header: what comes before the data set, then one piece for each element.

    A deflated file becomes a single piece, for it has no borders to cut at.
    """
    ds = read_header_elements(header.path, part_10=not header.without_preamble)
    with open(header.path, "rb") as file:
        if header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            buffer = BytesIO()
            pydicom.dcmwrite(buffer, ds)
            return (buffer.getvalue(),)
        return tuple(_pieces(file, ds, header))


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
