"""The series of folders, for doors that show them: each with its verdict, and what a picture of it is made of."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dlp_lab.dicom.folder import file_name, find_series
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.report import report_series, series_or_refusal
from dlp_lab.dicom.series import Series
from dlp_lab.errors import DicomError, NoSuchSeries
from dlp_lab.jobs.drawing import Subject
from dlp_lab.jobs.replies import LeftOutFile, SeriesList, SeriesSummary
from dlp_lab.store.workspace import Workspace

_REMEMBERED_FOLDERS = 8
_REMEMBERED_SECONDS = 60.0
_MOST_NAMED = 100


@dataclass(frozen=True)
class _Seen:
    at: float
    found: SeriesList
    subjects: dict[str, Subject | DicomError]


class SeriesCatalog:
    """Looks through folders of a workspace, and remembers for a minute what it saw, for pictures are asked for next.

    Safe for use from several threads.

    Args:
        workspace: Outside of it nothing is looked at.
        before_each_file: Called while a folder is looked through; may raise, to give up.
    """

    def __init__(self, workspace: Workspace, before_each_file: Callable[[], None] = lambda: None) -> None:
        self._workspace = workspace
        self._before_each_file = before_each_file
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def series(self, input_dir: str) -> SeriesList:
        """Look through a folder. Reads the headers of all its files, so it may take a while.

        Raises:
            PathRefused: It does not exist, is no folder, or leaves the root.
        """
        return self._look(input_dir).found

    def subject(self, input_dir: str, series_instance_uid: str) -> Subject:
        """What a picture of a series is of: its middle slice.

        Raises:
            PathRefused: As `series`.
            NoSuchSeries: It is not in the folder.
            DicomError: It is refused, and why.
        """
        name = self._workspace.relative(self._workspace.input_folder(input_dir))
        with self._lock:
            seen = self._seen.get(name)
        if seen is None or time.monotonic() - seen.at > _REMEMBERED_SECONDS or series_instance_uid not in seen.subjects:
            seen = self._look(input_dir)
        subject = seen.subjects.get(series_instance_uid)
        if subject is None:
            raise NoSuchSeries("no series of that SeriesInstanceUID is in the folder; list its series again")
        if isinstance(subject, DicomError):
            raise type(subject)(str(subject), subject.detail)  # a new one, for it grows a traceback
        return subject

    def _look(self, input_dir: str) -> _Seen:
        folder = self._workspace.input_folder(input_dir)
        name = self._workspace.relative(folder)
        scan = find_series(folder, self._workspace.root, self._workspace.output_folder, self._before_each_file)
        series, subjects = [], dict[str, Subject | DicomError]()
        for uid, headers in scan.series.items():
            verdict = series_or_refusal(headers)
            series.append(_summary(uid, headers, verdict))
            subjects[uid] = _subject(verdict) if isinstance(verdict, Series) else verdict
        found = SeriesList(
            input_dir=name,
            series=series,
            ignored=dict(Counter(item.reason for item in scan.ignored)),
            refused=[
                LeftOutFile(file=file_name(scan.folder, item.path), reason=str(item.error))
                for item in scan.broken[:_MOST_NAMED]
            ],
            refused_files=len(scan.broken),
        )
        seen = _Seen(time.monotonic(), found, subjects)
        with self._lock:
            self._seen[name] = seen
            self._seen.move_to_end(name)
            while len(self._seen) > _REMEMBERED_FOLDERS:
                self._seen.popitem(last=False)
        return seen


def _summary(uid: str, headers: list[Header], verdict: Series | DicomError) -> SeriesSummary:
    sizes = {header.path: header.file_bytes for header in headers}
    report = msgspec.structs.asdict(report_series(uid, headers, verdict))
    return SeriesSummary(**report, file_bytes=sum(sizes.values()))


def _subject(series: Series) -> Subject:
    middle = series.headers[len(series.headers) // 2]
    return Subject(middle.path, middle.frame)
