"""How slices lie on each other: their order, and the grid they make or are repaired to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.grid import Resampling
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.errors import DuplicatePosition, IrregularSpacing, MissingSlices, NoGeometry, Sheared
from dlp_lab.geometry import TILT_TOLERANCE_DEGREES, FloatArray, Geometry, affine_from_slices, slice_normal

SPACING_TOLERANCE = 0.01
"""All gaps must lie within this fraction of one spacing ..."""
SPACING_TOLERANCE_MM = 0.01
"""... or within this many mm, for slices of up to 1 mm whose positions are rounded to 0.01 mm ..."""
COARSEST_TOLERANCE = 0.05
"""... but never beyond this fraction of the spacing."""
COINCIDING_MM = 0.005
"""Slices nearer than this lie at one place."""
DRIFT_TOLERANCE = 0.05
"""No slice may lie farther than this fraction of the spacing from its place in an even stack: small gaps add up."""
SIDEWAYS_TOLERANCE = 0.1
"""A slice may lie this fraction of a pixel beside the line of the others."""


@dataclass(frozen=True)
class Stack:
    """Slices in order and the grid they are read onto.

    Attributes:
        headers: Along the normal of ImageOrientationPatient.
        geometry: Of the volume that is read.
        indices: For each header the slice index in the volume; indices that no header has are padded. Empty when the
            slices are resampled.
        resampling: How the slices become the volume, if not one by one.
    """

    headers: tuple[Header, ...]
    geometry: Geometry
    indices: tuple[int, ...]
    resampling: Resampling | None = None


def stacked(headers: Sequence[Header], warnings: list[str], options: ReadOptions = DEFAULT_OPTIONS) -> Stack:
    """Put slices in order and find their grid, repairing what `options` allows.

    Slices are ordered by where they are, along the normal of ImageOrientationPatient; SliceLocation, InstanceNumber and
    file names play no part, for they are often wrong.

    Raises:
        DuplicatePosition, MissingSlices, IrregularSpacing, Sheared, NoGeometry: The message names slices and files.
    """
    orientation = [float(v) for v in np.mean([header.orientation or () for header in headers], axis=0)]
    normal = slice_normal(orientation)
    positions = np.array([header.position_lps_mm for header in headers])
    order = np.argsort(positions @ normal, stable=True)
    ordered, positions = [headers[k] for k in order], positions[order]
    indices = np.arange(len(ordered))
    if len(ordered) == 1:
        _check_single(ordered[0], warnings)
    else:
        gaps_mm = np.diff(positions @ normal)
        _refuse_coinciding(ordered, gaps_mm)
        missing = _missing(gaps_mm)
        if missing.any() and (options.irregular == "refuse" or options.gaps == "pad"):
            indices = _padded_indices(ordered, gaps_mm, missing, warnings, options)
            gaps_mm = gaps_mm / np.diff(indices)
        uneven = _uneven(ordered, positions, indices, gaps_mm, normal)
        if uneven and options.irregular == "resample":
            return _resampled(ordered, positions, orientation, options, warnings)
        if uneven:
            raise IrregularSpacing(f"{uneven}; --irregular resample interpolates to even spacing")
        _note_jitter(positions, indices, warnings)
    geometry = _geometry(ordered, positions, orientation, int(indices[-1]) + 1)
    if geometry.tilt_degrees > TILT_TOLERANCE_DEGREES:
        if options.tilt == "refuse":
            raise Sheared(
                f"the stack is tilted by {geometry.tilt_degrees:.2f} degrees (gantry tilt): its slices are shifted "
                f"against each other; up to {TILT_TOLERANCE_DEGREES} degrees are read as they are; --tilt resample "
                "shifts them back, --tilt keep gives a sheared volume"
            )
        if options.tilt == "resample":
            return _resampled(ordered, positions, orientation, options, warnings)
        warnings.append(f"the volume is sheared by {geometry.tilt_degrees:.2f} degrees (gantry tilt)")
    return Stack(tuple(ordered), geometry, tuple(int(k) for k in indices))


def _geometry(ordered: Sequence[Header], positions: FloatArray, orientation: Sequence[float], slices: int) -> Geometry:
    first = ordered[0]
    affine = affine_from_slices(
        tuple(positions[0]),
        tuple(positions[-1]),
        orientation,
        first.pixel_spacing_mm or (),
        slices,
        first.slice_thickness_mm,
    )
    return Geometry((slices, first.rows, first.columns), affine, first.frame_of_reference_uid)


def _check_single(header: Header, warnings: list[str]) -> None:
    if not header.slice_thickness_mm or header.slice_thickness_mm <= 0:
        raise NoGeometry(
            f"{header.name} is the only slice and has no SliceThickness (0018,0050), so its depth is not known"
        )
    warnings.append("the series has a single slice; its SliceThickness is taken as the spacing")


def _refuse_coinciding(ordered: Sequence[Header], gaps_mm: FloatArray) -> None:
    for (one, other), gap_mm in zip(pairwise(ordered), gaps_mm, strict=True):
        if gap_mm < COINCIDING_MM:
            differing = [
                (keyword, a, b)
                for (keyword, a), (_, b) in zip(one.discriminators, other.discriminators, strict=True)
                if a != b
            ]
            listing = ", ".join(f"{keyword} {a!r} and {b!r}" for keyword, a, b in differing)
            remedy = f"choose with --select {differing[0][0]}={differing[0][1]}, or " if differing else ""
            error = DuplicatePosition(
                f"{one.name} and {other.name} lie at the same place (ImagePositionPatient (0020,0032)); "
                f"they differ in {listing or 'nothing that tells them apart'}; "
                f"{remedy}leave one image for each place in the folder"
            )
            error.name_file(one.path.name)
            raise error


def _missing(gaps_mm: FloatArray) -> FloatArray:
    """How many slices each gap lacks."""
    return np.asarray(np.where(gaps_mm > 1.5 * np.median(gaps_mm), np.rint(gaps_mm / np.median(gaps_mm)) - 1, 0))


def _padded_indices(
    ordered: Sequence[Header], gaps_mm: FloatArray, missing: FloatArray, warnings: list[str], options: ReadOptions
) -> NDArray[np.intp]:
    """Slice indices of the headers in the volume with its gaps filled; refused unless `options` says so."""
    listing = "; ".join(
        f"{missing[k]:.0f} between {_named(ordered, k)} and {_named(ordered, k + 1)}, {gaps_mm[k]:.3f} mm apart"
        for k in np.flatnonzero(missing)[:5]
    )
    usual = f"the usual spacing is {np.median(gaps_mm):.3f} mm"
    if options.gaps == "refuse":
        first = int(np.flatnonzero(missing)[0])
        error = MissingSlices(f"slices are missing ({usual}): {listing}; --gaps pad fills them with the least value")
        error.name_file(ordered[first].path.name, first)
        raise error
    warnings.append(f"missing slices were padded with the least value ({usual}): {listing}")
    return np.concatenate([[0], np.cumsum(missing + 1)]).astype(np.intp)


def _uneven(
    ordered: Sequence[Header], positions: FloatArray, indices: NDArray[np.intp], gaps_mm: FloatArray, normal: FloatArray
) -> str | None:
    """What is uneven about the stack, in words that name the slice; None if nothing is."""
    typical_mm = float(np.median(gaps_mm))
    tolerance_mm = max(SPACING_TOLERANCE * typical_mm, min(SPACING_TOLERANCE_MM, COARSEST_TOLERANCE * typical_mm))
    # there is a spacing that all gaps are near to exactly when half their range is within the tolerance
    if (gaps_mm.max() - gaps_mm.min()) / 2 > tolerance_mm:
        k = int(np.argmax(np.abs(gaps_mm - typical_mm)))
        return (
            f"the slices are not evenly spaced: {gaps_mm.min():.4f} to {gaps_mm.max():.4f} mm (ImagePositionPatient "
            f"(0020,0032)); {_named(ordered, k)} and {_named(ordered, k + 1)} are {gaps_mm[k]:.4f} mm apart; "
            f"deviations up to {tolerance_mm:.4f} mm are read"
        )
    off_mm = positions - _even_positions(positions, indices)
    spacing_mm = abs(float((positions[-1] - positions[0]) @ normal)) / int(indices[-1])
    for deviation_mm, where, limit_mm in (
        (np.abs(off_mm @ normal), "from its place in an even stack", DRIFT_TOLERANCE * spacing_mm),
        (
            np.linalg.norm(np.cross(off_mm, normal), axis=1),
            "beside the line of the others",
            SIDEWAYS_TOLERANCE * min(ordered[0].pixel_spacing_mm or ()),
        ),
    ):
        k = int(deviation_mm.argmax())
        if deviation_mm[k] > max(limit_mm, SPACING_TOLERANCE_MM):
            return (
                f"{_named(ordered, k)} lies {deviation_mm[k]:.4f} mm {where} (ImagePositionPatient (0020,0032)); "
                f"up to {max(limit_mm, SPACING_TOLERANCE_MM):.4f} mm are read"
            )
    return None


def _even_positions(positions: FloatArray, indices: NDArray[np.intp]) -> FloatArray:
    fraction = (indices / indices[-1])[:, None]
    return np.asarray(positions[0] * (1 - fraction) + positions[-1] * fraction)


def _note_jitter(positions: FloatArray, indices: NDArray[np.intp], warnings: list[str]) -> None:
    distance_mm = np.linalg.norm(positions - _even_positions(positions, indices), axis=1)
    if distance_mm.max() > 1e-3:
        warnings.append(
            f"slice positions deviate from an even spacing by up to {distance_mm.max():.3f} mm "
            f"(slice {int(distance_mm.argmax())})"
        )


def _resampled(
    ordered: Sequence[Header],
    positions: FloatArray,
    orientation: Sequence[float],
    options: ReadOptions,
    warnings: list[str],
) -> Stack:
    """The rectangular grid of even spacing that holds all slices, and the way onto it."""
    first = ordered[0]
    spacing_ji_mm = np.array(first.pixel_spacing_mm or ())
    in_plane = np.array([orientation[3:], orientation[:3]])
    normal = slice_normal(orientation)
    offsets = positions - positions[0]
    depths_mm: FloatArray = offsets @ normal
    # positions are decimal strings: without rounding, their last digit would widen the grid by a pixel
    shifts_ji = np.round((offsets @ in_plane.T) / spacing_ji_mm, 3)
    tilted = float(np.abs(shifts_ji).max()) > SIDEWAYS_TOLERANCE
    if tilted and options.tilt != "resample":
        raise Sheared(
            f"the slices are shifted against each other by up to {np.abs(shifts_ji).max():.1f} pixels; "
            "--tilt resample shifts them back"
        )
    if not tilted:
        shifts_ji = np.zeros_like(shifts_ji)
    start_ji = np.floor(shifts_ji.min(axis=0))
    extent_ji = np.ceil((shifts_ji - start_ji).max(axis=0)).astype(int)
    spacing_mm = float(np.median(np.diff(depths_mm)))
    slices = int(np.floor(depths_mm[-1] / spacing_mm + 1e-6)) + 1
    actions = []
    if options.irregular == "resample":
        widest_mm = float(np.diff(depths_mm).max())
        actions.append(f"resampled to slices {spacing_mm:.4f} mm apart, over gaps of up to {widest_mm:.4f} mm")
    if tilted:
        actions.append("gantry tilt undone by shifting slices")
    warnings.append("; ".join(actions))
    resampling = Resampling(
        source_depths_mm=depths_mm,
        depths_mm=np.arange(slices, dtype=np.float64) * spacing_mm,
        shifts_ji=shifts_ji - start_ji,
        rows=first.rows + int(extent_ji[0]),
        columns=first.columns + int(extent_ji[1]),
        actions=tuple(actions),
    )
    corner = positions[0] + (start_ji * spacing_ji_mm) @ in_plane
    affine = affine_from_slices(
        tuple(corner),
        tuple(corner + normal * spacing_mm * (slices - 1)),
        orientation,
        tuple(spacing_ji_mm),
        slices,
        spacing_mm,
    )
    geometry = Geometry((slices, resampling.rows, resampling.columns), affine, first.frame_of_reference_uid)
    return Stack(tuple(ordered), geometry, (), resampling)


def _named(ordered: Sequence[Header], k: int) -> str:
    return f"slice {k} ({ordered[k].name})"
