"""What is in a folder: the image files by series, and every other file with the reason why it plays no part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlp_lab.dicom.frames import read_frames
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.similar_headers import read_headers
from dlp_lab.errors import DicomError, SymlinkEscape, Unreadable, printable


@dataclass(frozen=True)
class Broken:
    """A file that may be a slice and cannot be understood."""

    path: Path
    error: DicomError


@dataclass(frozen=True)
class FolderScan:
    """What is in a folder.

    Attributes:
        folder: Where it was looked.
        series: The images by SeriesInstanceUID, in order of first appearance; each frame of a multi-frame file is one.
        ignored: Files that play no part, with the reason.
        broken: Files that are refused.
    """

    folder: Path
    series: dict[str, list[Header]]
    ignored: list[Ignored]
    broken: list[Broken]

    def why_ignored(self) -> str:
        """Why files were ignored, with their names where they are few."""
        names: dict[str, list[str]] = {}
        for ignored in self.ignored:
            names.setdefault(ignored.reason, []).append(printable(ignored.path.name))
        return ", ".join(
            f"{len(files)} x {reason}" + (f" ({', '.join(files)})" if len(files) <= 3 else "")
            for reason, files in sorted(names.items())
        )


def file_name(folder: Path, path: Path) -> str:
    """Path of a file relative to a folder, with "/" between names, as records and replies tell it.

    Bytes of it that are no UTF-8 become what Python calls them, such as \\udce9, for JSON has no way to hold them.
    """
    return path.relative_to(folder).as_posix().encode(errors="backslashreplace").decode()


def find_series(
    folder: Path,
    root: Path | None = None,
    skip: Path | None = None,
    before_each: Callable[[], None] = lambda: None,
    below: bool = True,
) -> FolderScan:
    """Read the headers of all files below `folder`, by content and not by name.

    Hidden files and folders are left out: they are other programs' (and our own unfinished output). Links are followed,
    each folder being looked at once.

    Args:
        folder: Where to look.
        root: Links out of it are refused. None allows all.
        skip: A folder to leave out, such as that of earlier results, unless it holds `folder` itself.
        before_each: Called before each file and folder is opened; may raise, to give up.
        below: Whether to look into the folders in it.
    """
    scan = FolderScan(folder, {}, [], [])
    entries = list(_entries(folder, root, skip, before_each, below))
    paths = [entry for entry in entries if isinstance(entry, Path)]
    headers = (
        Broken(path, found) if isinstance(found, DicomError) else found
        for path, found in zip(paths, read_headers(paths, before_each), strict=True)
    )
    for entry in entries:
        found = entry if isinstance(entry, Ignored | Broken) else next(headers)
        if isinstance(found, Header):
            _add_images(scan, found)
        elif isinstance(found, Ignored):
            scan.ignored.append(found)
        else:
            scan.broken.append(found)
    return scan


FolderState = bytes
"""Digest of what tells that a folder has changed."""


def folder_state(
    folder: Path,
    root: Path | None = None,
    skip: Path | None = None,
    before_each: Callable[[], None] = lambda: None,
    below: bool = True,
) -> FolderState | None:
    """The state of all files that `find_series` would read, from their names, sizes, times and inodes alone.

    Much quicker than to read their headers; the arguments are those of `find_series`. None where there is anything
    that cannot be looked at.
    """
    digest = hashlib.sha256()
    for entry in _entries(folder, root, skip, before_each, below):
        if isinstance(entry, Broken):
            return None
        path = entry.path if isinstance(entry, Ignored) else entry
        try:
            status = path.stat()
        except OSError:
            return None
        own = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(f"{path}\0{own}\0".encode(errors="surrogateescape"))
    return digest.digest()


def _add_images(scan: FolderScan, found: Header) -> None:
    try:
        images = read_frames(found)
    except DicomError as error:
        scan.broken.append(Broken(found.path, error))
    else:
        scan.series.setdefault(found.series_instance_uid, []).extend(images)


def _entries(
    top: Path, root: Path | None, skip: Path | None, before_each: Callable[[], None], below: bool
) -> Iterator[Path | Ignored | Broken]:
    """All files in order of their names, each folder once; and what is no file to be read."""
    skipped = None if skip is not None and Path(os.path.realpath(top)).is_relative_to(skip) else skip
    seen: set[Path] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        real = Path(os.path.realpath(folder))
        if real in seen or real == skipped:
            continue
        seen.add(real)
        before_each()
        try:
            _refuse_escape(folder, root)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            what = f"the folder {folder.name} cannot be opened ({error.strerror}); it may hold slices: make it readable"
            yield Broken(folder, Unreadable(what))
            continue
        except SymlinkEscape as error:
            yield Broken(folder, error)
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                yield Ignored(path, "hidden")
            elif _is_folder(entry):
                if below:
                    waiting.append(path)
            else:
                yield _within(root, path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        if not entry.is_symlink():
            return entry.is_dir()  # known without a look at the file
    except OSError:
        pass
    return os.path.isdir(entry.path)  # which, unlike the entry itself, says no to a link in a circle


def _within(root: Path | None, path: Path) -> Path | Broken:
    try:
        _refuse_escape(path, root)
    except SymlinkEscape as error:
        return Broken(path, error)
    return path


def _refuse_escape(path: Path, root: Path | None) -> None:
    if root is not None and path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
        raise SymlinkEscape(
            f"{path.name} is a link that leads out of the root; it may be a slice, so it is not skipped: copy the "
            "file, or choose a root that holds both"
        )
