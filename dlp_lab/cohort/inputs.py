"""What is in the folders of a cohort: which series, and a digest of each by the content of its files.

Files are read whole once; afterwards their names, sizes, times and inodes tell that they are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dlp_lab.dicom.folder import find_series, folder_state
from dlp_lab.store.cohort_folder import write_replacing
from dlp_lab.store.workspace import Workspace


class SeriesContent(msgspec.Struct, frozen=True, kw_only=True):
    """A series of a folder.

    Attributes:
        series_instance_uid: Its UID.
        is_of_readable_kind: Whether any of its images is of a kind that tasks can be run on.
        files: How many.
        sha256: Of the content of its files, whatever they are called and wherever they are.
    """

    series_instance_uid: str
    is_of_readable_kind: bool
    files: int
    sha256: str


class FolderContent(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a folder.

    Attributes:
        state: Digest of names, sizes, times and inodes; "" where they cannot all be looked at.
        series: Those with images.
        refused_files: How many files may be slices and cannot be understood.
        sha256: Of all images and refused files.
    """

    state: str
    series: list[SeriesContent]
    refused_files: int
    sha256: str

    def sha256_of(self, series_instance_uid: str | None) -> str:
        """Digest of what a job on that series reads, or on the only one; of all where there is not that one."""
        chosen = [
            series
            for series in self.series
            if series.series_instance_uid == series_instance_uid
            or (series_instance_uid is None and series.is_of_readable_kind)
        ]
        return chosen[0].sha256 if len(chosen) == 1 else self.sha256


class Inputs:
    """The folders of a cohort, as they are now.

    Args:
        workspace: Outside of it nothing is looked at.
        memory: File with what was found before, if it is there; a damaged one is not believed.
    """

    def __init__(self, workspace: Workspace, memory: Path) -> None:
        self._workspace = workspace
        self._memory = memory
        known: list[FolderContent] = []
        if memory.is_file():
            with contextlib.suppress(msgspec.DecodeError, UnicodeError):
                known = msgspec.json.decode(memory.read_bytes(), type=list[FolderContent])
        self._known = {content.state: content for content in known if content.state}
        self._seen: dict[tuple[str, bool], FolderContent] = {}

    def content(self, input_dir: str, *, below: bool = True) -> FolderContent:
        """What is in a folder, and, if `below`, in those in it.

        Raises:
            PathRefused: It does not exist, is no folder, or leaves the root.
        """
        key = input_dir, below
        if key not in self._seen:
            folder = self._workspace.input_folder(input_dir)
            found = folder_state(folder, self._workspace.root, self._workspace.output_folder, below=below)
            state = "" if found is None else found.hex()
            content = self._known.get(state) or self._read(folder, state, below)
            self._seen[key] = content
            if state:  # which is also that of the folder without those in it, where there are none
                self._known[state] = content
        return self._seen[key]

    def remember(self) -> None:
        """Keep what was seen for the next run."""
        seen = {content.state: content for content in self._seen.values()}
        write_replacing(self._memory, msgspec.json.encode(list(seen.values())))

    def _read(self, folder: Path, state: str, below: bool) -> FolderContent:
        scan = find_series(folder, self._workspace.root, self._workspace.output_folder, below=below)
        broken = [_file_sha256(item.path) for item in scan.broken]
        series = []
        everything = set(broken)
        for uid, headers in scan.series.items():
            paths = {header.path for header in headers}
            digests = [_file_sha256(path) for path in paths]
            everything.update(digests)
            series.append(
                SeriesContent(
                    series_instance_uid=uid,
                    is_of_readable_kind=any(header.is_of_readable_kind for header in headers),
                    files=len(paths),
                    sha256=_sha256_of_all([*digests, *broken]),  # a refused file may be a slice of any
                )
            )
        return FolderContent(state=state, series=series, refused_files=len(broken), sha256=_sha256_of_all(everything))


def _file_sha256(path: Path) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.errno}"


def _sha256_of_all(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
