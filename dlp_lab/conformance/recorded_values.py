"""Layer 4: an independent reader finds the values that the record beside the series says were computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dlp_lab.conformance.findings import Finding, LayerReport
from dlp_lab.conformance.independent_reading import IndependentReading
from dlp_lab.conformance.pair import Pair
from dlp_lab.conformance.placement import FLOAT32_STEPS
from dlp_lab.store.provenance import RECORD, value_profiles

_PROFILE_TOLERANCE_STEPS = 0.02
"""The record's profiles are of values on the steps of the files, so only the floating point of readers is left."""
_RANGE_TOLERANCE_STEPS = 0.5 + _PROFILE_TOLERANCE_STEPS
"""The record's least and greatest value may be those before they were rounded to a step, as earlier versions wrote."""


class _Source(msgspec.Struct):
    sop_instance_uids: list[str]


class _Result(msgspec.Struct):
    series_instance_uid: str
    files: list[str]
    rescale_slope: float
    greatest_rounding_error: float | None = None
    shape: tuple[int, int, int] | None = None
    affine_kji_to_lps: list[list[float]] | None = None
    value_range: tuple[float, float] | None = None
    profiles: dict[str, list[float]] | None = None


class _Record(msgspec.Struct):
    """What is read of `job.json`; the rest of it does not matter here."""

    source: _Source
    result: _Result


def check_recorded_values(folder: Path, pair: Pair, reading: IndependentReading) -> LayerReport:
    """Compare the derived series with `job.json` in its folder.

    Args:
        folder: Of the derived series.
        pair: Both series.
        reading: The derived series as dcm2niix reads it.
    """
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record)
    except FileNotFoundError:
        return LayerReport("values", f"no {RECORD} beside the derived series", skipped=True)
    except (OSError, msgspec.MsgspecError) as error:
        unreadable = _finding("record", f"{RECORD} cannot be understood ({type(error).__name__})")
        return LayerReport("values", f"{RECORD} cannot be understood", (unreadable,))
    result = record.result
    if result.profiles is None or result.value_range is None or result.affine_kji_to_lps is None:
        return LayerReport("values", f"{RECORD} is of a version that records no profiles", skipped=True)
    findings = [*_of_this_series(record, pair), *_values(result, reading)]
    return LayerReport("values", f"dcm2niix beside the profiles in {RECORD}", tuple(findings))


def _of_this_series(record: _Record, pair: Pair) -> list[Finding]:
    findings = []
    if set(record.source.sop_instance_uids) != pair.source_images.keys():
        findings.append(_finding("record-source", f"{RECORD} names other source images"))
    if {record.result.series_instance_uid} != {slice_.header.series_instance_uid for slice_ in pair.derived}:
        findings.append(_finding("record-series", f"{RECORD} names another derived series"))
    if set(record.result.files) != {slice_.header.path.name for slice_ in pair.derived}:
        findings.append(_finding("record-files", f"{RECORD} lists other files"))
    return findings


def _values(result: _Result, reading: IndependentReading) -> list[Finding]:
    assert result.profiles and result.value_range and result.affine_kji_to_lps and result.shape
    values = reading.on_grid(np.array(result.affine_kji_to_lps), result.shape)
    if values is None:
        return [_finding("record-grid", f"the derived series does not lie on the grid in {RECORD}")]
    float_noise = FLOAT32_STEPS * float(np.abs(values).max())
    error = result.greatest_rounding_error
    step = abs(result.rescale_slope) if error is None else 2 * error
    found: dict[str, Any] = {**value_profiles(values), "range": [values.min(), values.max()]}
    expected = {**result.profiles, "range": list(result.value_range)}
    findings = []
    for name, numbers in found.items():
        tolerance = step * (_RANGE_TOLERANCE_STEPS if name == "range" else _PROFILE_TOLERANCE_STEPS) + float_noise
        off = float(np.abs(np.subtract(numbers, expected[name])).max())
        if not off <= tolerance:
            what = "least or greatest value" if name == "range" else f"mean of a {name}"
            findings.append(
                _finding(
                    f"value-{name}", f"the {what} differs from the record's by {off:.6g} (allowed {tolerance:.2g})"
                )
            )
    return findings


def _finding(code: str, message: str) -> Finding:
    return Finding("values", code, None, message)
