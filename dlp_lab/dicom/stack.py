"""How slices lie on each other: their order, and whether they make a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dlp_lab.dicom.header import Header
from dlp_lab.errors import DuplicatePosition, IrregularSpacing, MissingSlices, NoGeometry, Sheared
from dlp_lab.geometry import FloatArray, Geometry, affine_from_slices, slice_normal

SPACING_TOLERANCE = 0.01
"""All gaps must lie within this fraction of one spacing ..."""
SPACING_TOLERANCE_MM = 0.01
"""... or within this many mm, for thin slices whose positions are rounded to 0.01 mm."""
DRIFT_TOLERANCE = 0.05
"""No slice may lie farther than this fraction of the spacing from its place in an even stack: small gaps add up."""
SIDEWAYS_TOLERANCE = 0.1
"""A slice may lie this fraction of a pixel beside the line of the others."""
TILT_TOLERANCE_DEGREES = 0.1


def in_slice_order(headers: Sequence[Header]) -> list[Header]:
    """Slices by where they are along the normal of ImageOrientationPatient.

    SliceLocation, InstanceNumber and file names play no part: they are often wrong.
    """
    normal = slice_normal(_mean_orientation(headers))
    return sorted(headers, key=lambda header: float(np.dot(normal, header.position_lps_mm or ())))


def regular_grid(ordered: Sequence[Header], warnings: list[str]) -> Geometry:
    """Geometry of slices in order, after checking that they are evenly stacked.

    Raises:
        DuplicatePosition, MissingSlices, IrregularSpacing, Sheared, NoGeometry: The message names slices and files.
    """
    positions = np.array([header.position_lps_mm for header in ordered])
    first = ordered[0]
    if len(ordered) == 1:
        if not first.slice_thickness_mm or first.slice_thickness_mm <= 0:
            raise NoGeometry(
                f"{first.path.name} is the only slice and has no SliceThickness (0018,0050), so its depth is not known"
            )
        warnings.append("the series has a single slice; its SliceThickness is taken as the spacing")
    else:
        normal = slice_normal(_mean_orientation(ordered))
        gaps_mm = np.diff(positions @ normal)
        _refuse_coinciding(ordered, gaps_mm)
        _refuse_missing(ordered, gaps_mm)
        _refuse_uneven(ordered, gaps_mm)
        _check_line(ordered, positions, normal, warnings)
    geometry = Geometry(
        (len(ordered), first.rows, first.columns),
        affine_from_slices(
            tuple(positions[0]),
            tuple(positions[-1]),
            _mean_orientation(ordered),
            first.pixel_spacing_mm or (),
            len(ordered),
            first.slice_thickness_mm,
        ),
        first.frame_of_reference_uid,
    )
    if geometry.tilt_degrees > TILT_TOLERANCE_DEGREES:
        raise Sheared(
            f"the stack is tilted by {geometry.tilt_degrees:.2f} degrees (gantry tilt): its slices are shifted against "
            f"each other; up to {TILT_TOLERANCE_DEGREES} degrees are read"
        )
    return geometry


def _refuse_coinciding(ordered: Sequence[Header], gaps_mm: FloatArray) -> None:
    least_mm = min(SPACING_TOLERANCE_MM, max(float(np.median(gaps_mm)), SPACING_TOLERANCE_MM) / 2)
    for (one, other), gap_mm in zip(pairwise(ordered), gaps_mm, strict=True):
        if gap_mm < least_mm:
            differing = [
                f"{keyword} {a!r} and {b!r}"
                for (keyword, a), (_, b) in zip(one.discriminators, other.discriminators, strict=True)
                if a != b
            ]
            raise DuplicatePosition(
                f"{one.path.name} and {other.path.name} lie at the same place (ImagePositionPatient (0020,0032)); "
                f"they differ in {', '.join(differing) or 'nothing that tells them apart'}; "
                "leave one image for each place in the folder"
            )


def _refuse_missing(ordered: Sequence[Header], gaps_mm: FloatArray) -> None:
    typical_mm = float(np.median(gaps_mm))
    wide = [int(k) for k in np.flatnonzero(gaps_mm > 1.5 * typical_mm)]
    if wide:
        listing = "; ".join(
            f"{round(gaps_mm[k] / typical_mm) - 1} between {_named(ordered, k)} and {_named(ordered, k + 1)}, "
            f"{gaps_mm[k]:.3f} mm apart"
            for k in wide[:5]
        )
        raise MissingSlices(f"slices are missing (the usual spacing is {typical_mm:.3f} mm): {listing}")


def _refuse_uneven(ordered: Sequence[Header], gaps_mm: FloatArray) -> None:
    typical_mm = float(np.median(gaps_mm))
    tolerance_mm = max(SPACING_TOLERANCE * typical_mm, SPACING_TOLERANCE_MM)
    # there is a spacing that all gaps are near to exactly when half their range is within the tolerance
    if (gaps_mm.max() - gaps_mm.min()) / 2 > tolerance_mm:
        k = int(np.argmax(np.abs(gaps_mm - typical_mm)))
        raise IrregularSpacing(
            f"the slices are not evenly spaced: {gaps_mm.min():.4f} to {gaps_mm.max():.4f} mm (ImagePositionPatient "
            f"(0020,0032)); {_named(ordered, k)} and {_named(ordered, k + 1)} are {gaps_mm[k]:.4f} mm apart; "
            f"deviations up to {tolerance_mm:.4f} mm are read"
        )


def _check_line(ordered: Sequence[Header], positions: FloatArray, normal: FloatArray, warnings: list[str]) -> None:
    """Refuse slices off the straight, even line from the first to the last; warn of small deviations."""
    off_mm = positions - np.linspace(positions[0], positions[-1], len(ordered))
    spacing_mm = abs(float((positions[-1] - positions[0]) @ normal)) / (len(ordered) - 1)
    along_mm = np.abs(off_mm @ normal)
    sideways_mm = np.linalg.norm(np.cross(off_mm, normal), axis=1)
    for deviation_mm, where, tolerance_mm in (
        (along_mm, "from its place in an even stack", DRIFT_TOLERANCE * spacing_mm),
        (sideways_mm, "beside the line of the others", SIDEWAYS_TOLERANCE * min(ordered[0].pixel_spacing_mm or ())),
    ):
        k = int(deviation_mm.argmax())
        if deviation_mm[k] > max(tolerance_mm, SPACING_TOLERANCE_MM):
            raise IrregularSpacing(
                f"{_named(ordered, k)} lies {deviation_mm[k]:.4f} mm {where} (ImagePositionPatient (0020,0032)); "
                f"up to {max(tolerance_mm, SPACING_TOLERANCE_MM):.4f} mm are read"
            )
    distance_mm = np.linalg.norm(off_mm, axis=1)
    if distance_mm.max() > 1e-3:
        warnings.append(
            f"slice positions deviate from an even spacing by up to {distance_mm.max():.3f} mm "
            f"(slice {int(distance_mm.argmax())})"
        )


def _named(ordered: Sequence[Header], k: int) -> str:
    return f"slice {k} ({ordered[k].path.name})"


def _mean_orientation(headers: Sequence[Header]) -> list[float]:
    return [float(v) for v in np.mean([header.orientation or () for header in headers], axis=0)]
