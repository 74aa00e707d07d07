"""Derived series to look at."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
from scipy import ndimage

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_image import DerivedSeries, write_derived_series
from dlp_lab.volume import Volume

MADE_AT = datetime.datetime(2025, 3, 4, 5, 6, 7, 89, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
BLUR = Derivation(
    "job-1", "3dblur", "3D Gaussian sigma 1 mm", ("113088", "DCM", "Gaussian blur"), reach_slices=2, made_at=MADE_AT
)


def blurred(volume: Volume) -> Volume:
    sigma = [1 / mm for mm in volume.geometry.spacing_kji_mm]
    return volume.with_voxels(ndimage.gaussian_filter(volume.voxels.astype(np.float32), sigma, mode="nearest"))


def derive(
    folder: Path, source: Path, derivation: Derivation = BLUR, result: Volume | None = None
) -> tuple[DerivedSeries, Volume, Series]:
    series = one_series(source)
    values = blurred(read_volume(series)) if result is None else result
    folder.mkdir()
    return write_derived_series(series, values, folder, derivation), values, series
