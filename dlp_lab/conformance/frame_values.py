"""The values of a derived file with frames, read by its functional groups, to be held beside another reader's."""

from __future__ import annotations

import numpy as np
import pydicom

from dlp_lab.conformance.findings import Finding
from dlp_lab.conformance.pair import Pair
from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry, affine_from_slices, slice_normal
from dlp_lab.volume import Volume


def read_frames(pair: Pair) -> Volume | Finding:
    """The frames in the order of their places, each rescaled by its own slope; or why they make no volume."""
    try:
        return _read_frames(pair)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, VolumeError) as error:
        reason = f"the frames make no volume ({type(error).__name__})"
        return Finding("geometry", "unreadable", pair.derived[0].header.path.name, reason)


def _read_frames(pair: Pair) -> Volume:
    (path,) = pair.derived_files
    stored = pydicom.dcmread(path).pixel_array.reshape(-1, pair.derived[0].header.rows, pair.derived[0].header.columns)
    if len(stored) != len(pair.derived):
        raise ValueError("as many frames as functional groups are needed")
    first = pair.derived[0].header
    orientation, spacing = first.orientation or (), first.pixel_spacing_mm or ()
    places = np.array([slice_.header.position_lps_mm for slice_ in pair.derived], dtype=np.float64)
    order = np.argsort(places @ slice_normal(orientation))
    slopes, intercepts = (
        np.array([getattr(slice_.header, name) for slice_ in pair.derived])[order, None, None]
        for name in ("rescale_slope", "rescale_intercept")
    )
    affine = affine_from_slices(
        tuple(places[order[0]]), tuple(places[order[-1]]), orientation, spacing, len(order), first.slice_thickness_mm
    )
    geometry = Geometry((len(order), first.rows, first.columns), affine)
    return Volume(stored[order].astype(np.float64) * slopes + intercepts, geometry)
