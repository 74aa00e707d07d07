"""From a folder to a series: which files belong together, and whether they make a volume."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from dlp_lab.dicom.bounded_file import MAX_HEADER_BYTES
from dlp_lab.dicom.data_set import attribute, read_header_elements
from dlp_lab.dicom.duplicates import without_copies
from dlp_lab.dicom.folder import FolderScan, find_series
from dlp_lab.dicom.frame_pixels import with_own_pixels
from dlp_lab.dicom.frames import attribute_of_frames, check_concatenations
from dlp_lab.dicom.grid import Resampling
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.dicom.slice_checks import ORIENTATION_TOLERANCE, check_slices
from dlp_lab.dicom.stack import stacked
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import MultipleSeries, NoDicom, NoSuchSeries, UnsupportedSopClass
from dlp_lab.geometry import Geometry

_LISTED = 10
"""How many series a message names."""


class HeaderSource(Protocol):
    """The headers of a series that makes a volume, wherever they are kept. `HeaderSourceContract` checks it.

    * `headers` are in slice order, along the normal; `geometry` is the grid of the volume they make.
    * `indices` and `resampling` say how they make it: see `Series`.
    * `dataset(number)` is all that the file of `headers[number]` says but for its pixels, encoded as in that file. It
      is a new one at each call, so that the caller may change it.
    * `encoded_header(number)` is the same as bytes: the file's, from its start, up to the pixels or a little farther. A
      deflated file may end sooner.
    """

    @property
    def headers(self) -> tuple[Header, ...]: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def indices(self) -> tuple[int, ...]: ...

    @property
    def resampling(self) -> Resampling | None: ...

    def dataset(self, number: int) -> Dataset: ...

    def encoded_header(self, number: int) -> bytes: ...


@dataclass(frozen=True)
class Series:
    """A series that makes a volume, as files. A `HeaderSource`.

    Attributes:
        headers: In slice order, along the normal.
        geometry: Grid of the volume.
        indices: For each header the slice index in the volume; the slices of other indices are padded. Empty when the
            slices are resampled.
        warnings: What was noticed and accepted, and what was repaired.
        dropped: Files of the series that were left out.
        resampling: How the slices become the volume, if not one by one.
    """

    headers: tuple[Header, ...]
    geometry: Geometry
    indices: tuple[int, ...]
    warnings: tuple[str, ...]
    dropped: tuple[Ignored, ...] = ()
    resampling: Resampling | None = None

    @property
    def first(self) -> Header:
        """The first slice; what all slices share can be read from it."""
        return self.headers[0]

    def dataset(self, number: int) -> Dataset:
        """Read the file of `headers[number]` again, without its pixels."""
        header = self.headers[number]
        with opened_unchanged(header) as file:
            return read_header_elements(file, part_10=not header.without_preamble)

    def encoded_header(self, number: int) -> bytes:
        """Read the file of `headers[number]` again, up to its pixels."""
        header = self.headers[number]
        size = header.file_bytes if header.pixels is None else header.pixels.offset
        with opened_unchanged(header, buffering=0) as file:
            return file.read(min(size, MAX_HEADER_BYTES))


def one_series(
    folder: Path, options: ReadOptions = DEFAULT_OPTIONS, root: Path | None = None, skip: Path | None = None
) -> Series:
    """The series in `folder` that makes a volume.

    Args:
        folder, root, skip: See `find_series`.
        options: Which images, and which repairs.

    Raises:
        DicomError: There is none, there are several, or it is refused; the class tells which.
    """
    return choose_series(find_series(folder, root, skip), options)


def choose_series(scan: FolderScan, options: ReadOptions = DEFAULT_OPTIONS) -> Series:
    """The series of a scanned folder that `options` choose, or the only one that is of a readable kind.

    Raises:
        DicomError: As `one_series`.
    """
    if scan.broken:
        broken = scan.broken[0]
        broken.error.name_file(broken.path.name)
        raise broken.error
    if not scan.series:
        raise NoDicom(
            f"the folder holds no DICOM image (found: {scan.why_ignored() or 'no file at all'}); "
            "choose the folder with the slices of a series"
        )
    uid = _chosen_uid(scan, options)
    return assemble(scan.series[uid], options, noticed_around(scan, uid))


def noticed_around(scan: FolderScan, uid: str) -> list[str]:
    """What `choose_series` notices beside the series it chooses, which its warnings begin with."""
    warnings = []
    if scan.ignored:
        warnings.append(f"files were ignored: {scan.why_ignored()}")
    others = sum(len(headers) for other, headers in scan.series.items() if other != uid)
    if others:
        warnings.append(f"{others} images of other series were left out")
    return warnings


def _chosen_uid(scan: FolderScan, options: ReadOptions) -> str:
    readable = {
        uid: headers for uid, headers in scan.series.items() if any(header.is_of_readable_kind for header in headers)
    }
    if options.series is not None:
        if options.series not in scan.series:
            raise NoSuchSeries(f"no series {options.series} is in the folder; there are: {_listing(scan.series)}")
        return options.series
    if not readable:
        kinds = Counter(header.sop_class_uid.name for headers in scan.series.values() for header in headers)
        seen = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(5))
        raise UnsupportedSopClass(f"CT, MR or PET images are needed; the folder holds {seen}")
    if len(readable) > 1:
        raise MultipleSeries(
            f"the folder holds {len(readable)} series; choose one of them with --series UID: {_listing(readable)} "
            "(`dlp-lab series` lists them with their descriptions)"
        )
    return next(iter(readable))


def _listing(series: dict[str, list[Header]]) -> str:
    listing = "; ".join(
        f"{uid[:64] or 'no UID'} ({headers[0].modality[:16]}, {_amount(headers)})"
        for uid, headers in itertools.islice(series.items(), _LISTED)
    )
    return listing + (f"; and {len(series) - _LISTED} more" if len(series) > _LISTED else "")


def _amount(headers: Sequence[Header]) -> str:
    files = len({header.path for header in headers})
    return f"{files} files" + (f" with {len(headers)} frames" if files < len(headers) else "")


def assemble(
    headers: Sequence[Header],
    options: ReadOptions = DEFAULT_OPTIONS,
    warnings: Sequence[str] = (),
    *,
    with_pixels: bool = True,
) -> Series:
    """Put the images of one series in order and make them a grid.

    Args:
        headers: Of one SeriesInstanceUID, in any order.
        options: Which of them, and which repairs.
        warnings: Noticed so far.
        with_pixels: Whether the pixels are there, and to be checked.

    Raises:
        DicomError: They make no volume for certain; the class and the message tell why.
    """
    noticed = list(warnings)
    check_concatenations(headers)
    selected, unselected = _selected(headers, options)
    if with_pixels:
        selected = with_own_pixels(selected)
    kept, localizers = _without_localizers(selected)
    kept, copies = without_copies(kept)
    for dropped, what in ((localizers, "localizer images were left out"), (copies, "copies of images were left out")):
        if dropped:
            noticed.append(f"{len(dropped)} {what}")
    check_slices(kept, noticed, with_pixels=with_pixels)
    stack = stacked(kept, noticed, options)
    return Series(
        stack.headers,
        stack.geometry,
        stack.indices,
        tuple(noticed),
        (*unselected, *localizers, *copies),
        stack.resampling,
    )


def attribute_values(scan: FolderScan, keyword: str, options: ReadOptions = DEFAULT_OPTIONS) -> list[str]:
    """Values of an attribute in the chosen series of a folder, in growing order.

    Raises:
        DicomError: As `choose_series`; also when the attribute is absent from an image.
    """
    kept, _ = _selected(scan.series[_chosen_uid(scan, options)], options)
    values = dict(zip(_values(kept, keyword), kept, strict=True))
    if "" in values:
        raise NoSuchSeries(f"{values[''].name} has no {keyword}, so it cannot be told apart by it")
    return sorted(values, key=lambda value: (0, float(value), "") if _is_number(value) else (1, 0.0, value))


def _selected(headers: Sequence[Header], options: ReadOptions) -> tuple[list[Header], list[Ignored]]:
    """Images whose attributes have the values asked for."""
    kept, dropped = [], []
    found = {keyword: _values(headers, keyword) for keyword in options.select}
    for number, header in enumerate(headers):
        wrong = [keyword for keyword, asked in options.select.items() if not _same(found[keyword][number], asked)]
        if wrong:
            dropped.append(Ignored(header.path, f"another {', '.join(wrong)} than selected"))
        else:
            kept.append(header)
    if not kept:
        asked = ", ".join(f"{keyword}={value}" for keyword, value in options.select.items())
        raise NoSuchSeries(f"no image of the series has {asked}")
    return kept, dropped


def _values(headers: Sequence[Header], keyword: str) -> list[str]:
    """An attribute's value in each image as text, several values with a backslash between; empty where it is absent."""
    if tag_for_keyword(keyword) is None:
        raise NoSuchSeries(f"{keyword!r} is no DICOM keyword; give one such as EchoTime or AcquisitionNumber")
    frames = [header for header in headers if header.frame is not None]
    of_frames = iter(attribute_of_frames(frames, keyword))
    return [_of_file(header, keyword) if header.frame is None else next(of_frames) for header in headers]


def _of_file(header: Header, keyword: str) -> str:
    with opened_unchanged(header) as file:
        return attribute(file, keyword, part_10=not header.without_preamble)


def _same(value: str, asked: str) -> bool:
    return value == asked or (_is_number(value) and _is_number(asked) and float(value) == float(asked))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_localizers(headers: Sequence[Header]) -> tuple[list[Header], list[Ignored]]:
    """Leave out localizers (ImageType value 3) that lie across the other images."""
    others = [header for header in headers if "LOCALIZER" not in header.image_type]
    if not others or others[0].orientation is None:
        return list(headers), []
    kept, dropped = [], []
    for header in headers:
        if (
            "LOCALIZER" in header.image_type
            and header.orientation is not None
            and np.abs(np.subtract(header.orientation, others[0].orientation)).max() > ORIENTATION_TOLERANCE
        ):
            dropped.append(Ignored(header.path, "localizer"))
        else:
            kept.append(header)
    return kept, dropped
