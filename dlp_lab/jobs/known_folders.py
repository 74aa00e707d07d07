"""Folders that were looked through before, so that a job on one that has not changed is taken at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dlp_lab.dicom.options import OutputForm, ReadOptions

if TYPE_CHECKING:
    from dlp_lab.dicom.folder import FolderState  # loads pydicom
    from dlp_lab.tasks.task import SeriesInfo  # loads numpy

_MOST = 1024

_Asked = tuple[Path, bytes, OutputForm | None]


class KnownFolders:
    """What a submission found in a folder: that it can be processed, and what headers tell of its series.

    Only what was found good is remembered. Should a file have changed without a trace in its folder, the job that is
    taken for it fails when it reads the file, as it would had the file changed after a look at it; nothing that could
    be processed is ever refused for what it was before. Safe for use from several threads.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[_Asked, tuple[FolderState, SeriesInfo]] = OrderedDict()
        self._lock = threading.Lock()

    def info(self, folder: Path, read: ReadOptions, form: OutputForm | None, state: FolderState) -> SeriesInfo | None:
        """What the headers of the series tell that was found, if the folder is in the same state as then; else None."""
        with self._lock:
            asked = _asked(folder, read, form)
            known = self._found.get(asked)
            if known is None or known[0] != state:
                return None
            self._found.move_to_end(asked)
            return known[1]

    def remember(
        self, folder: Path, read: ReadOptions, form: OutputForm | None, state: FolderState, info: SeriesInfo
    ) -> None:
        """Note that a series of the folder can be processed.

        Args:
            folder, read: What was asked.
            form: In which the result is to be written; None for labels.
            state: Of the folder before it was looked through.
            info: What its headers tell.
        """
        with self._lock:
            self._found[_asked(folder, read, form)] = state, info
            while len(self._found) > _MOST:
                self._found.popitem(last=False)


def _asked(folder: Path, read: ReadOptions, form: OutputForm | None) -> _Asked:
    return folder, msgspec.json.encode(read, order="sorted"), form
