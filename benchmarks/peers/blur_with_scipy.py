"""A folder of DICOM, blurred by the script that people write: pydicom, h5py and scipy."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import h5py
import numpy as np
import pydicom
from pydicom.uid import generate_uid
from scipy import ndimage


def blur_and_keep_hdf5(source: str, target: str, sigma_mm: str) -> None:
    """Read, keep the volume as HDF5, blur, keep the result as HDF5, write. No checks, no references to the source."""
    slices = sorted((pydicom.dcmread(path) for path in Path(source).iterdir()), key=_height)
    volume = np.stack([ds.pixel_array.astype(np.float32) * ds.RescaleSlope + ds.RescaleIntercept for ds in slices])
    volume = volume.astype(np.float32)
    with h5py.File(Path(target, "source.h5"), "w") as file:
        file.create_dataset("image", data=volume, compression="gzip")

    row_mm, column_mm = map(float, slices[0].PixelSpacing)
    spacing_kji_mm = (math.dist(slices[1].ImagePositionPatient, slices[0].ImagePositionPatient), row_mm, column_mm)
    smooth = ndimage.gaussian_filter(volume, [float(sigma_mm) / mm for mm in spacing_kji_mm], mode="nearest")
    with h5py.File(Path(target, "result.h5"), "w") as file:
        file.create_dataset("image", data=smooth, compression="gzip")

    series_uid = generate_uid()
    for k, ds in enumerate(slices):
        derived = copy.deepcopy(ds)
        derived.SeriesInstanceUID = series_uid
        derived.SOPInstanceUID = derived.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        stored = (smooth[k] - ds.RescaleIntercept) / ds.RescaleSlope
        derived.PixelData = np.rint(stored).astype(ds.pixel_array.dtype).tobytes()
        derived.save_as(Path(target, f"{k:04d}.dcm"))


def blur(source: str, target: str, sigma_mm: str) -> None:
    """The same, straight from DICOM to DICOM."""
    slices = sorted((pydicom.dcmread(path) for path in Path(source).iterdir()), key=_height)
    volume = np.stack([ds.pixel_array for ds in slices]).astype(np.float32)
    row_mm, column_mm = map(float, slices[0].PixelSpacing)
    spacing_kji_mm = (math.dist(slices[1].ImagePositionPatient, slices[0].ImagePositionPatient), row_mm, column_mm)
    smooth = ndimage.gaussian_filter(volume, [float(sigma_mm) / mm for mm in spacing_kji_mm], mode="nearest")
    series_uid = generate_uid()
    for k, ds in enumerate(slices):
        ds.SeriesInstanceUID = series_uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.PixelData = np.rint(smooth[k]).astype(np.int16).tobytes()
        ds.save_as(Path(target, f"{k:04d}.dcm"))


def _height(ds: pydicom.Dataset) -> float:
    return float(ds.ImagePositionPatient[2])
