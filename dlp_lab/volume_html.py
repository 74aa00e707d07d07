"""A volume as a notebook shows it: its middle planes, and where it lies. Nothing in it names the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import TILT_TOLERANCE_DEGREES, Geometry, plane_views
from dlp_lab.kernels.picture import gray_picture, png_of, window_of
from dlp_lab.notebook_html import facts_html, picture_html

_LONGEST_PX = 200
_MOST_MAPPED_BYTES = 2**28
"""Of a file that is mapped and larger, only the plane that lies in one piece is drawn, not to read all of it."""


def volume_html(
    voxels: NDArray[Any], geometry: Geometry, unit: str | None, modality: str | None, warnings: Sequence[str]
) -> str:
    """HTML of a volume; see `Volume` for the arguments."""
    corner = geometry.positions_lps_mm((0, 0, 0))
    letters = ", ".join(f"{start} to {end}" for start, end in geometry.axis_letters)
    facts = {
        "slices x rows x columns": _joined(geometry.shape),
        "spacing": f"{_joined(geometry.spacing_kji_mm)} mm",
        "axes": letters,
        "first voxel": f"{', '.join(f'{mm:.1f}' for mm in corner)} mm (left, posterior, superior)",
        "gantry tilt": f"{geometry.tilt_degrees:.2f}°" if geometry.tilt_degrees > TILT_TOLERANCE_DEGREES else "",
        "values": f"{voxels.dtype}{f' in {unit}' if unit else ''}",
        "modality": modality or "",
        "noticed": " ".join(warnings),
    }
    return f"<div>{_pictures(voxels, geometry)}{facts_html(facts)}</div>"


def _pictures(voxels: NDArray[Any], geometry: Geometry) -> str:
    """The middle planes, all with the window of the first; none of a volume too oblique to name them."""
    try:
        views = plane_views(geometry)
    except VolumeError:
        return ""
    if isinstance(voxels, np.memmap) and voxels.nbytes > _MOST_MAPPED_BYTES:
        views = tuple(view for view in views if view.axis == 0)  # type: ignore[assignment]
    planes = [view.of(voxels, geometry.shape[view.axis] // 2) for view in views]
    window = window_of(planes[0])
    longest_mm = max(max(geometry.shape[n] * geometry.spacing_kji_mm[n] for n in range(3)), 1e-6)
    shown = []
    for view, plane in zip(views, planes, strict=True):
        sides_mm = plane.shape[0] * view.pixel_size_mm[0], plane.shape[1] * view.pixel_size_mm[1]
        longest_px = max(1, round(_LONGEST_PX * max(sides_mm) / longest_mm))
        picture = png_of(gray_picture(plane, view.pixel_size_mm, window, longest_px))
        shown.append(picture_html(picture, view.title))
    return "".join(shown)


def _joined(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
