"""The whole check of a derived series, or of a segmentation: validators, rules, geometry and values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from dlp_lab.conformance.findings import CheckReport, Finding, LayerReport
from dlp_lab.conformance.frame_values import read_frames
from dlp_lab.conformance.independent_reading import NotOneVolume, read_with_dcm2niix
from dlp_lab.conformance.pair import Pair, read_pair, read_slices
from dlp_lab.conformance.placement import check_placement, unevenness_mm
from dlp_lab.conformance.programs import require_programs
from dlp_lab.conformance.recorded_values import check_recorded_values
from dlp_lab.conformance.rules import check_rules
from dlp_lab.conformance.segmentation_check import check_segmentation, segmentation_in
from dlp_lab.conformance.validators import check_validators
from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.errors import DicomError, NoDicom, PathRefused
from dlp_lab.volume import Volume


def check_derived(
    source_folder: Path,
    derived_folder: Path,
    options: ReadOptions = DEFAULT_OPTIONS,
    others: Sequence[Path] = (),
) -> CheckReport:
    """Check the derived series in one folder against its source in another.

    Args:
        source_folder: Holds the one series it was derived from, which must be one that dlp-lab reads.
        derived_folder: Holds the derived series, and perhaps its record.
        options: How the source was read, where it needed a choice or a repair.
        others: Folders of other series that the derived one was made from too.

    Raises:
        CheckersMissing: A program that is needed is not installed.
        DlpError: A folder holds nothing that could be checked, or the source is refused.
    """
    require_programs()
    for folder in (source_folder, derived_folder, *others):
        if not folder.is_dir():
            raise PathRefused(f"{folder} is not a folder; give the source's folder, then that of the derived series")
    source = one_series(source_folder, options)
    found = segmentation_in(find_series(derived_folder))
    if found is not None:
        beside = [header for folder in others for header in _images(folder)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as below
            slices = read_slices(source.headers)
            return check_segmentation(slices, found, beside, resampled=source.resampling is not None)
    try:
        derived = _images(derived_folder)
    except NoDicom:
        raise
    except DicomError as error:
        return _unreadable(str(error))
    with warnings.catch_warnings():
        # pydicom warns of values that break the standard, some by showing them; that is for the layers to say
        warnings.simplefilter("ignore")
        beside = [header for folder in others for header in _images(folder)]
        validators = check_validators(source.headers, derived, beside)
        pair = read_pair(source.headers, derived, beside)
        return CheckReport((validators, check_rules(pair), *_independent_layers(source, pair, derived_folder, options)))


def _images(folder: Path) -> list[Header]:
    """Headers of all images in the folder, whatever series they claim to be of."""
    scan = find_series(folder)
    if scan.broken:
        raise scan.broken[0].error
    headers = [header for headers in scan.series.values() for header in headers]
    if not headers:
        raise NoDicom("the folder of the derived series holds no DICOM image; give the folder that a job has written")
    return headers


def _unreadable(reason: str) -> CheckReport:
    found = Finding("geometry", "unreadable", None, reason)
    skipped = "a file of the derived series cannot be read"
    return CheckReport(
        (
            LayerReport("validators", skipped, skipped=True),
            LayerReport("rules", skipped, skipped=True),
            LayerReport("geometry", "dlp-lab refuses the derived series", (found,)),
            LayerReport("values", skipped, skipped=True),
        )
    )


def _independent_layers(
    source: Series, pair: Pair, folder: Path, options: ReadOptions
) -> tuple[LayerReport, LayerReport]:
    """Layers 3 and 4: both look at the derived series through dcm2niix."""
    try:
        before = read_with_dcm2niix(_paths(source.headers))
    except NotOneVolume as error:
        # the source is beyond this reader; that says nothing of the derived series
        reason = f"of the source {error}"
        return LayerReport("geometry", reason, skipped=True), LayerReport("values", reason, skipped=True)
    own = _own_reading(folder, options) if pair.form == "series" else read_frames(pair)
    try:
        after = read_with_dcm2niix(list(pair.derived_files))
    except NotOneVolume as error:
        found = [Finding("geometry", "volume", None, str(error)), *([own] if isinstance(own, Finding) else [])]
        return LayerReport("geometry", "dcm2niix", tuple(found)), LayerReport("values", str(error), skipped=True)
    if isinstance(own, Finding):
        geometry = LayerReport("geometry", "dlp-lab refuses the derived series", (own,))
    else:
        geometry = check_placement(
            before,
            after,
            own,
            resampled=pair.resampled,
            unevenness_mm=0.0 if pair.form == "series" else unevenness_mm(pair.source),
        )
    return geometry, check_recorded_values(folder, pair, after)


def _own_reading(folder: Path, options: ReadOptions) -> Volume | Finding:
    """The derived series as dlp-lab reads it, or why it is refused. What was chosen in the source is chosen here."""
    repairs = ReadOptions(gaps=options.gaps, irregular=options.irregular, tilt=options.tilt)
    try:
        return read_volume(one_series(folder, repairs))
    except DicomError as error:
        return Finding("geometry", "unreadable", None, str(error))


def _paths(headers: Sequence[Header]) -> list[Path]:
    return list({header.path: None for header in headers})
