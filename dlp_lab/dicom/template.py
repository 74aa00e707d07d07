"""Voxels from elsewhere, such as an HDF5 file, meet the series they belong to."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from dlp_lab.dicom.series import HeaderSource
from dlp_lab.errors import TemplateMismatch
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume


def place_on_template(values: Volume | NDArray[Any], template: HeaderSource) -> Volume:
    """Give values the place of a template series.

    Args:
        values: A volume, which must lie on the template's grid (its slices may be counted from the other end), or a
            bare `(k, j, i)` array in the template's unit, its slices along the normal of ImageOrientationPatient.
        template: The series, as files or from an archive of headers.

    Returns:
        The volume in the template's slice order.

    Raises:
        TemplateMismatch: Shape or place differ.
    """
    shape = values.geometry.shape if isinstance(values, Volume) else values.shape
    if shape != template.geometry.shape:
        raise TemplateMismatch(
            f"the volume has shape {shape} (slices, rows, columns), the template series {template.geometry.shape}; "
            "they must be equal"
        )
    if not isinstance(values, Volume):
        return Volume(values, template.geometry, template.headers[0].unit, template.headers[0].modality)
    if values.geometry.matches(template.geometry):
        return values
    if values.geometry.with_slices_reversed().matches(template.geometry):
        return Volume(values.voxels[::-1], template.geometry, values.unit, values.modality, values.source_series_uid)
    raise TemplateMismatch(
        f"volume and template series have the same shape but lie at different places: the first voxel is at "
        f"{_first_voxel(values.geometry)} in the volume and at {_first_voxel(template.geometry)} in the template"
    )


def _first_voxel(geometry: Geometry) -> str:
    x, y, z = geometry.affine_kji_to_lps[:3, 3]
    frame = f" of frame {geometry.frame_of_reference_uid}" if geometry.frame_of_reference_uid else ""
    return f"({x:.3f}, {y:.3f}, {z:.3f}) mm{frame}"
