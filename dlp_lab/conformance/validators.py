"""Layer 1: what dciodvfy and dcentvfy find in the derived series and not in its source.

Real series break the standard already, and what a derived series keeps, it keeps with its errors. So kinds of error are
compared, and only a kind that the source does not show is a finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom

from dlp_lab.conformance.findings import Finding, LayerReport
from dlp_lab.conformance.programs import count_kinds, dcentvfy_errors, dciodvfy_errors, new_errors
from dlp_lab.dicom.header import Header
from dlp_lab.processors import available_processors

_LISTS = (
    "SourceImageEvidenceSequence",
    "ReferencedSeriesSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
)


def check_validators(source: Sequence[Header], derived: Sequence[Header], others: Sequence[Header] = ()) -> LayerReport:
    """Ask both programs about both series; `others` are images that the derived ones may refer to too."""
    with tempfile.TemporaryDirectory() as made:
        files = {header.path: header for header in source}.values()
        paths = [_recognizable(header, Path(made, f"{k:05d}")) for k, header in enumerate(files)]
        paths += list({header.path: None for header in others})
        return _compare(paths, list({header.path: None for header in derived}), _unlistable(source))


def check_segmentation_validators(
    source: Sequence[Header], files: Sequence[Path], others: Sequence[Header], *, of_label_map: bool
) -> LayerReport:
    """Ask both programs about a segmentation and its report, which keep patient, study and places of the source.

    Args:
        source: The series that it was made from.
        files: The segmentation, and its report.
        others: Images that it may refer to too.
        of_label_map: dciodvfy (2026-09) takes no label map for a segmentation, and a reference to a segment of one for
            a mistake; PS3.3 Table 10-3 asks for it.
    """
    with ThreadPoolExecutor(min(8, available_processors())) as pool:
        known: set[str] = set().union(*pool.map(dciodvfy_errors, {header.path for header in source}))
    findings = [
        Finding("validators", "dciodvfy", path.name, error)
        for path in files
        for error in new_errors(dciodvfy_errors(path), known)
        if not (of_label_map and "ReferencedSegmentNumber" in error)
    ]
    before = list({header.path: None for header in (*source, *others)})
    together = new_errors(dcentvfy_errors([*before, *files]), dcentvfy_errors(before))
    findings += [Finding("validators", "dcentvfy", None, error) for error in together]
    return LayerReport("validators", f"dciodvfy and dcentvfy on {len(files)} files", tuple(findings))


def _unlistable(source: Sequence[Header]) -> tuple[str, ...]:
    """Lists that a file with frames must have (Type 1C), and cannot where the source has no UID to list images by."""
    return () if source[0].study_instance_uid and source[0].series_instance_uid else _LISTS


def _recognizable(header: Header, copy: Path) -> Path:
    """The file, or a copy with its SOP class in the data set: without it dciodvfy would find no error of that class."""
    if not header.uids_from_meta:
        return header.path
    ds = pydicom.dcmread(header.path, force=header.without_preamble)
    ds.SOPClassUID, ds.SOPInstanceUID = header.sop_class_uid, header.sop_instance_uid
    ds.save_as(copy)
    return copy


def _compare(source: Sequence[Path], derived: Sequence[Path], accepted_elements: Sequence[str]) -> LayerReport:
    # the work is in other processes, so threads suffice
    with ThreadPoolExecutor(min(8, available_processors())) as pool:
        before = list(pool.map(dciodvfy_errors, source))
        after = list(pool.map(dciodvfy_errors, derived))
    known: set[str] = set().union(*before)
    findings = [
        Finding("validators", "dciodvfy", path.name, error)
        for path, errors in zip(derived, after, strict=True)
        for error in new_errors(errors, known)
        if not any(f"Element=<{element}>" in error for element in accepted_elements)
    ]
    together = new_errors(dcentvfy_errors([*source, *derived]), dcentvfy_errors(source))
    findings += [Finding("validators", "dcentvfy", None, error) for error in together]
    accepted = f", {count_kinds(known)} kinds of error are the source's own" if known else ""
    return LayerReport("validators", f"dciodvfy and dcentvfy on {len(derived)} files{accepted}", tuple(findings))
