"""From a folder to a series: which files belong together, and whether they make a volume."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom.dataset import Dataset

from dlp_lab.dicom.header import Header, Ignored, read_header
from dlp_lab.dicom.slice_checks import check_slices
from dlp_lab.dicom.stack import in_slice_order, regular_grid
from dlp_lab.errors import MultipleSeries, NoDicom, UnsupportedSopClass
from dlp_lab.geometry import Geometry


@dataclass(frozen=True)
class FolderScan:
    """What is in a folder.

    Attributes:
        series: The image files by SeriesInstanceUID, in order of first appearance.
        ignored: Files that play no part, with the reason.
    """

    series: dict[str, list[Header]]
    ignored: list[Ignored]


class HeaderSource(Protocol):
    """The headers of a series that makes a volume, wherever they are kept. `HeaderSourceContract` checks it.

    * `headers` are in slice order, along the normal, and `geometry` is their grid.
    * `dataset(k)` is all that slice `k` says but for its pixels, encoded as in its file. It is a new one at each call,
      so that the caller may change it.
    """

    @property
    def headers(self) -> tuple[Header, ...]: ...

    @property
    def geometry(self) -> Geometry: ...

    def dataset(self, k: int) -> Dataset: ...


@dataclass(frozen=True)
class Series:
    """A series that makes a volume, as files. A `HeaderSource`.

    Attributes:
        headers: In slice order, along the normal.
        geometry: Its grid.
        warnings: What was noticed and accepted.
    """

    headers: tuple[Header, ...]
    geometry: Geometry
    warnings: tuple[str, ...]

    @property
    def first(self) -> Header:
        """The slice with index 0; what all slices share can be read from it."""
        return self.headers[0]

    def dataset(self, k: int) -> Dataset:
        """Read the file of slice `k` again, without its pixels."""
        header = self.headers[k]
        return pydicom.dcmread(header.path, stop_before_pixels=True, force=header.without_preamble)


def find_series(folder: Path) -> FolderScan:
    """Read the headers of all files below `folder`, by content and not by name.

    Hidden files and folders are left out: they are other programs' (and our own unfinished output). Links to folders
    are not followed.

    Raises:
        Unreadable: A file cannot be opened.
        Malformed: A DICOM file is broken.
    """
    series: dict[str, list[Header]] = {}
    ignored: list[Ignored] = []
    for directory, subdirectories, names in os.walk(folder):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory, name)
            if name.startswith("."):
                ignored.append(Ignored(path, "hidden"))
                continue
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
                ignored.append(Ignored(path, "a link that leaves the folder"))
                continue
            found = read_header(path)
            if isinstance(found, Header):
                series.setdefault(found.series_instance_uid, []).append(found)
            else:
                ignored.append(found)
    return FolderScan(series, ignored)


def one_series(folder: Path) -> Series:
    """The one series in `folder` that makes a volume.

    Raises:
        DicomError: There is none, there are several, or it is refused; the class tells which.
    """
    scan = find_series(folder)
    readable = {
        uid: headers for uid, headers in scan.series.items() if any(header.is_single_frame_image for header in headers)
    }
    if not scan.series:
        reasons = Counter(ignored.reason for ignored in scan.ignored)
        seen = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5)) or "no file at all"
        raise NoDicom(f"the folder holds no DICOM image (found: {seen}); choose the folder with the slices of a series")
    if not readable:
        kinds = Counter(header.sop_class_uid.name for headers in scan.series.values() for header in headers)
        seen = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(5))
        raise UnsupportedSopClass(f"single-frame CT, MR or PET images are needed; the folder holds {seen}")
    if len(readable) > 1:
        listing = "; ".join(
            f"{uid or 'no UID'} ({headers[0].modality}, {headers[0].series_description or 'no description'}, "
            f"{len(headers)} files)"
            for uid, headers in readable.items()
        )
        raise MultipleSeries(f"the folder holds {len(readable)} series, choose a folder with one of them: {listing}")
    ((chosen, headers),) = readable.items()
    warnings = []
    if scan.ignored:
        warnings.append(f"{len(scan.ignored)} files that are no DICOM images were ignored")
    others = sum(len(headers) for uid, headers in scan.series.items() if uid != chosen)
    if others:
        warnings.append(f"{others} images of other series, of kinds that are not read, were left out")
    return assemble(headers, warnings)


def assemble(headers: Sequence[Header], warnings: Sequence[str] = ()) -> Series:
    """Put the slices of one series in order and check that they make a regular grid.

    Args:
        headers: Of one SeriesInstanceUID, in any order.
        warnings: Noticed so far.

    Raises:
        DicomError: They make no volume for certain; the class and the message tell why.
    """
    noticed = list(warnings)
    check_slices(headers, noticed)
    ordered = in_slice_order(headers)
    return Series(tuple(ordered), regular_grid(ordered, noticed), tuple(noticed))
