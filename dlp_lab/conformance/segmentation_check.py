"""The whole check of a segmentation: validators, rules, other readers, and the record beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dlp_lab.conformance.findings import CheckReport, Finding, LayerReport
from dlp_lab.conformance.pair import Slice
from dlp_lab.conformance.segmentation_pair import SEGMENTATIONS, SegmentationPair, read_segmentation
from dlp_lab.conformance.segmentation_readers import check_readers
from dlp_lab.conformance.segmentation_rules import check_segmentation_rules
from dlp_lab.conformance.validators import check_segmentation_validators
from dlp_lab.dicom.folder import FolderScan
from dlp_lab.dicom.header import Header
from dlp_lab.errors import NoDicom
from dlp_lab.store.provenance import RECORD

_REPORT = "SR Storage"


class _Label(msgspec.Struct):
    segment: int
    voxels: int


class _Result(msgspec.Struct):
    series_instance_uid: str
    labels: list[_Label] | None = None


class _Record(msgspec.Struct):
    """What is read of `job.json`."""

    result: _Result


def segmentation_in(scan: FolderScan) -> tuple[Path, Path | None] | None:
    """The segmentation that a folder holds, and the structured report beside it; None if there is none.

    Raises:
        NoDicom: There are several, of which nobody says which is meant.
    """
    paths = {header.path for headers in scan.series.values() for header in headers if _is_segmentation(header)}
    if not paths:
        return None
    if len(paths) > 1:
        raise NoDicom(f"the folder holds {len(paths)} segmentations; give one that holds one of them")
    reports = [ignored.path for ignored in scan.ignored if _REPORT in ignored.reason]
    return paths.pop(), reports[0] if len(reports) == 1 else None


def check_segmentation(
    source: tuple[Slice, ...], found: tuple[Path, Path | None], others: Sequence[Header], *, resampled: bool
) -> CheckReport:
    """Check a segmentation against its source.

    Args:
        source: The slices of the source.
        found: The segmentation and its report.
        others: Images of other series that it was made from too.
        resampled: The source was read with its slices resampled.
    """
    path, report = found
    images: dict[str, str] = {header.sop_instance_uid: header.sop_class_uid for header in others}
    pair = read_segmentation(source, path, report, resampled=resampled, other_images=images)
    validators = check_segmentation_validators(
        [slice_.header for slice_ in source],
        [path] if report is None else [path, report],
        others,
        of_label_map=pair.is_label_map,
    )
    return CheckReport((validators, check_segmentation_rules(pair), check_readers(pair), _recorded(pair)))


def _is_segmentation(header: Header) -> bool:
    return header.sop_class_uid in SEGMENTATIONS


def _recorded(pair: SegmentationPair) -> LayerReport:
    """Whether as many voxels of each segment are found as the record says were computed."""
    try:
        record = msgspec.json.decode((pair.path.parent / RECORD).read_bytes(), type=_Record)
    except FileNotFoundError:
        return LayerReport("values", f"no {RECORD} beside the segmentation", skipped=True)
    except (OSError, msgspec.MsgspecError) as error:
        wrong = f"{RECORD} cannot be understood ({type(error).__name__})"
        return LayerReport("values", wrong, (Finding("values", "record", None, wrong),))
    labels = record.result.labels
    if labels is None:
        return LayerReport("values", f"{RECORD} does not tell the voxels of the segments", skipped=True)
    findings = []
    if record.result.series_instance_uid != pair.ds.get("SeriesInstanceUID"):
        findings.append(Finding("values", "record-series", None, f"{RECORD} names another series"))
    if pair.ds.get("SegmentationType") == "FRACTIONAL":
        # where a label is a little likely, its fraction is no 0
        return LayerReport("values", f"{RECORD} counts voxels, and fractions are none", tuple(findings))
    told = {label.segment: label.voxels for label in labels}
    for number in sorted(told.keys() | pair.voxel_counts.keys()):
        if told.get(number) != pair.voxel_counts.get(number):
            wrong = f"segment {number} has {pair.voxel_counts.get(number)} voxels, {RECORD} says {told.get(number)}"
            findings.append(Finding("values", "record-voxels", pair.path.name, wrong))
    return LayerReport("values", f"voxels of the segments beside {RECORD}", tuple(findings))
