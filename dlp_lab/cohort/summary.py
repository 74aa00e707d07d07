"""The summary on the disk: written again while the cohort is at work, whole whenever anybody looks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from urllib.parse import quote

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.case_result import thumbnail
from dlp_lab.cohort.summary_page import summary_page
from dlp_lab.cohort.summary_table import summary_csv, summary_parquet, summary_rows
from dlp_lab.store.cohort_folder import CohortFolder, remove_if_there, write_replacing
from dlp_lab.store.workspace import Workspace

_LEAST_SECONDS_BETWEEN = 2.0
_SHARE_OF_TIME = 0.05


class Summary:
    """The tables of a cohort.

    Args:
        workspace: Where results are.
        cohort: Where the tables are written.
        task: That is run.
    """

    def __init__(self, workspace: Workspace, cohort: CohortFolder, task: str) -> None:
        self._workspace = workspace
        self._cohort = cohort
        self._task = task
        self._thumbnails: dict[str, tuple[str, bytes]] = {}
        self._not_before = 0.0

    def write_now_and_then(self, records: Sequence[CaseRecord]) -> None:
        """Write it, unless it was written a moment ago: it may take no more than a twentieth of the time."""
        began = time.monotonic()
        if began >= self._not_before:
            self.write(records, is_running=True)
            took = time.monotonic() - began
            self._not_before = time.monotonic() + max(_LEAST_SECONDS_BETWEEN, took / _SHARE_OF_TIME)

    def write(self, records: Sequence[CaseRecord], *, is_running: bool = False) -> None:
        """Write CSV, HTML, and Parquet where pyarrow is there."""
        columns, rows = summary_rows(records)
        write_replacing(self._cohort.summary("csv"), summary_csv(columns, rows))
        parquet = None if is_running else summary_parquet(columns, rows)
        if parquet is not None:
            write_replacing(self._cohort.summary("parquet"), parquet)
        else:
            remove_if_there(self._cohort.summary("parquet"))  # rather none than one of other cases
        pictures = {}
        for record in records:
            if record.state == "succeeded" and record.job and (png := self._picture(record.case_id, record.job)):
                pictures[record.case_id] = png
        page = summary_page(
            self._cohort.path.name,
            self._task,
            records,
            pictures,
            quote(os.path.relpath(self._workspace.output_folder, self._cohort.path)),
            is_running=is_running,
        )
        write_replacing(self._cohort.summary("html"), page)

    def _picture(self, case_id: str, job: str) -> bytes | None:
        """The thumbnail of a case, made once for each result and kept beside its record."""
        known = self._thumbnails.get(case_id)
        if known is not None and known[0] == job:
            return known[1]
        path = self._cohort.case(case_id) / f"thumbnail-{job[:8]}.png"
        if path.is_file():
            png: bytes | None = path.read_bytes()
        else:
            png = thumbnail(self._workspace, job)
            if png is not None:
                for older in path.parent.glob("thumbnail-*.png"):
                    older.unlink()
                write_replacing(path, png)
        if png is not None:
            self._thumbnails[case_id] = job, png
        return png
