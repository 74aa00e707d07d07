"""The ingestion report: every series of a folder with its verdict, every file with its part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Struct

from dlp_lab.dicom.folder import FolderScan, file_name
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.dicom.series import Series, assemble, noticed_around
from dlp_lab.errors import DicomError
from dlp_lab.notebook_html import facts_html, table_html


class SeriesReport(Struct, frozen=True, kw_only=True):
    """One series.

    Attributes:
        series_instance_uid, description, modality, sop_class: From its first file; the class by its name.
        files: How many files belong to it.
        frames: How many images, where files hold several.
        verdict: "usable", or the code of the refusal, such as "MISSING_SLICES".
        reason: The sentence of the refusal.
        shape, spacing_kji_mm: Of the volume, (slice, row, column); only when usable.
        warnings: What was noticed and accepted.
    """

    series_instance_uid: str
    description: str
    modality: str
    sop_class: str
    files: int
    frames: int | None = None
    verdict: str
    reason: str = ""
    shape: tuple[int, int, int] | None = None
    spacing_kji_mm: tuple[float, float, float] | None = None
    warnings: list[str] = []


class FileReport(Struct, frozen=True, kw_only=True):
    """One file.

    Attributes:
        file: Its path relative to the folder, with "/" between names; bytes that are no UTF-8 as in `file_name`.
        part: "slice" of a usable series, "dropped" from one, "refused" with its series or by itself, or "ignored". A
            multi-frame file is a slice if any of its frames is.
        series_instance_uid: The series it belongs to, if any.
        slice: Its index in the series, along the normal; None of a multi-frame file.
        frames: How many frames of a multi-frame file are slices of the series.
        reason: Why it, or some of its frames, are dropped, refused or ignored.
    """

    file: str
    part: str
    series_instance_uid: str = ""
    slice: int | None = None
    frames: int | None = None
    reason: str = ""


class FolderReport(Struct, frozen=True, kw_only=True):
    """What is in a folder. Every file is in `files` once."""

    series: list[SeriesReport]
    files: list[FileReport]

    def _repr_html_(self) -> str:
        """In a notebook: the verdicts. Descriptions are left out, for they may hold what names the patient."""
        rows = [
            (
                one.modality,
                one.sop_class,
                f"{one.files}",
                " x ".join(f"{length}" for length in one.shape or ()),
                " x ".join(f"{mm:.4g}" for mm in one.spacing_kji_mm or ()),
                one.verdict,
                one.reason or " ".join(one.warnings),
            )
            for one in self.series
        ]
        header = ("modality", "class", "files", "slices x rows x columns", "spacing (mm)", "verdict", "why")
        parts = Counter(file.part for file in self.files)
        return table_html(header, rows) + facts_html({f"files {part}": f"{count}" for part, count in parts.items()})


def report_folder(
    scan: FolderScan, options: ReadOptions = DEFAULT_OPTIONS, chosen: Series | None = None
) -> FolderReport:
    """Account for every file of a scanned folder.

    Args:
        scan: From `find_series`.
        options: The repairs that the verdicts take into account; `select` counts for the series it is meant for.
        chosen: What `choose_series` made of both, where that is known already.
    """
    series, files = [], []
    for uid, headers in scan.series.items():
        if chosen is not None and uid == chosen.first.series_instance_uid:
            own_warnings = chosen.warnings[len(noticed_around(scan, uid)) :]
            verdict: Series | DicomError = replace(chosen, warnings=own_warnings)
        else:
            verdict = series_or_refusal(headers, _options_for(uid, options))
        series.append(report_series(uid, headers, verdict))
        if isinstance(verdict, DicomError):
            files += [
                FileReport(file=_name(scan, header.path), part="refused", series_instance_uid=uid, reason=verdict.code)
                for header in _one_for_each_file(headers)
            ]
        else:
            files += _parts(scan, uid, verdict)
    files += [FileReport(file=_name(scan, item.path), part="ignored", reason=item.reason) for item in scan.ignored]
    files += [FileReport(file=_name(scan, item.path), part="refused", reason=str(item.error)) for item in scan.broken]
    return FolderReport(series=series, files=sorted(files, key=lambda report: report.file))


def series_or_refusal(headers: list[Header], options: ReadOptions = DEFAULT_OPTIONS) -> Series | DicomError:
    """The series that images make, or why they make none."""
    try:
        return assemble(headers, options)
    except DicomError as error:
        return error


def report_series(uid: str, headers: list[Header], verdict: Series | DicomError) -> SeriesReport:
    """One series and its verdict.

    Args:
        uid: SeriesInstanceUID.
        headers: Of all its images.
        verdict: From `series_or_refusal`.
    """
    if isinstance(verdict, DicomError):
        return _described(uid, headers, verdict=verdict.code, reason=str(verdict))
    grid = verdict.geometry
    found = {"shape": grid.shape, "spacing_kji_mm": grid.spacing_kji_mm, "warnings": list(verdict.warnings)}
    return _described(uid, headers, verdict="usable", **found)


def _options_for(uid: str, options: ReadOptions) -> ReadOptions:
    if options.series in (None, uid):
        return options
    return ReadOptions(gaps=options.gaps, irregular=options.irregular, tilt=options.tilt)


def _described(uid: str, headers: list[Header], **found: Any) -> SeriesReport:
    first = headers[0]
    return SeriesReport(
        series_instance_uid=uid,
        description=first.series_description,
        modality=first.modality,
        sop_class=first.sop_class_uid.name,
        files=len(_one_for_each_file(headers)),
        frames=len(headers) if any(header.frame is not None for header in headers) else None,
        **found,
    )


def _one_for_each_file(headers: Sequence[Header]) -> list[Header]:
    return list({header.path: header for header in headers}.values())


def _parts(scan: FolderScan, uid: str, series: Series) -> list[FileReport]:
    dropped: dict[Path, Counter[str]] = defaultdict(Counter)
    for item in series.dropped:
        dropped[item.path][item.reason] += 1
    slices: dict[Path, list[int]] = defaultdict(list)
    for number, header in enumerate(series.headers):
        slices[header.path].append(number)
    parts = []
    for header in _one_for_each_file(series.headers):
        several, numbers = header.frame is not None, slices[header.path]
        left_out = dropped.pop(header.path, Counter())
        parts.append(
            FileReport(
                file=_name(scan, header.path),
                part="slice",
                series_instance_uid=uid,
                slice=None if several else numbers[0],
                frames=len(numbers) if several else None,
                reason="; ".join(f"{count} frames left out: {reason}" for reason, count in left_out.items()),
            )
        )
    return parts + [_dropped(scan, uid, path, reasons) for path, reasons in dropped.items()]


def _dropped(scan: FolderScan, uid: str, path: Path, reasons: Counter[str]) -> FileReport:
    return FileReport(file=_name(scan, path), part="dropped", series_instance_uid=uid, reason="; ".join(reasons))


def _name(scan: FolderScan, path: Path) -> str:
    return file_name(scan.folder, path)
