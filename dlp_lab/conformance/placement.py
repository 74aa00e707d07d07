"""Layer 3: an independent reader finds the derived series where its source is, with the values that dlp-lab reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlp_lab.conformance.findings import Finding, LayerReport
from dlp_lab.conformance.independent_reading import FloatArray, IndependentReading
from dlp_lab.conformance.pair import Slice
from dlp_lab.geometry import POSITION_TOLERANCE_MM, slice_normal
from dlp_lab.volume import Volume

FLOAT32_STEPS = 4 * float(np.finfo(np.float32).eps)
"""Relative: dcm2niix and dlp-lab keep slope, intercept and rescaled values as float32."""


def check_placement(
    source: IndependentReading,
    derived: IndependentReading,
    own: Volume,
    *,
    resampled: bool,
    unevenness_mm: float = 0.0,
) -> LayerReport:
    """Compare the places of source and derived series, and two readings of the derived one.

    Args:
        source, derived: As dcm2niix reads them.
        own: The derived series as dlp-lab reads it.
        resampled: The derived series declares a grid of its own, so its place is not compared.
        unevenness_mm: How far the affines of a stack may differ because a reader looks at the first two slices of a
            series, and at SpacingBetweenSlices of frames.
    """
    derived = derived.in_order_of(source)
    found = [] if resampled else _place(source, derived, POSITION_TOLERANCE_MM + unevenness_mm)
    values = derived.on_grid(own.geometry.affine_kji_to_lps, own.geometry.shape)
    if values is None:
        found.append(_finding("grid", "dcm2niix and dlp-lab place the voxels of the derived series differently"))
    else:
        found += _same_values(values, own)
    apart = _apart_mm(source, derived)
    summary = "dcm2niix, the grid is a new one" if resampled else f"dcm2niix, affines differ by {apart:.1e} mm"
    return LayerReport("geometry", summary, tuple(found))


def unevenness_mm(slices: Sequence[Slice]) -> float:
    """Greatest difference between a gap of a stack and its mean gap."""
    places = np.array([slice_.header.position_lps_mm for slice_ in slices], dtype=np.float64)
    if len(places) < 3:
        return 0.0
    along = places[np.argsort(places @ slice_normal(slices[0].header.orientation or ()))]
    gaps = np.diff(along, axis=0)
    return float(np.linalg.norm(gaps - gaps.mean(axis=0), axis=1).max())


def _place(source: IndependentReading, derived: IndependentReading, tolerance_mm: float) -> list[Finding]:
    before, after = source.values_ijk.shape, derived.values_ijk.shape
    if before != after:
        return [_finding("shape", f"{after} voxels (columns, rows, slices), the source has {before}")]
    apart = _apart_mm(source, derived)
    if apart > tolerance_mm:
        return [_finding("affine", f"the affine differs from the source's by up to {apart:.4g} mm")]
    return []


def _apart_mm(source: IndependentReading, derived: IndependentReading) -> float:
    return float(np.abs(derived.affine_ijk_to_ras - source.affine_ijk_to_ras).max())


def _same_values(values: FloatArray, own: Volume) -> list[Finding]:
    difference = float(np.abs(values - own.voxels).max())
    if difference <= FLOAT32_STEPS * float(np.abs(values).max()):
        return []
    return [_finding("reading", f"dcm2niix and dlp-lab read values that differ by up to {difference:.6g}")]


def _finding(code: str, message: str) -> Finding:
    return Finding("geometry", code, None, message)
