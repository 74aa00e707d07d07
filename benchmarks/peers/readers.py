"""A folder of a series to values in Hounsfield units, slices in order, by other libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_bytes(folder: str) -> None:
    """The floor: the bytes of all files into one fresh array."""
    files = sorted(Path(folder).iterdir())
    content = np.empty((len(files), max(path.stat().st_size for path in files)), np.uint8)
    for path, row in zip(files, content, strict=True):
        with open(path, "rb", buffering=0) as file:
            file.readinto(row.data)


def read_with_dicomsdl(folder: str) -> None:
    import dicomsdl

    slices = [dicomsdl.open(str(path)) for path in Path(folder).iterdir()]
    slices.sort(key=lambda ds: ds.ImagePositionPatient[2])
    np.stack([ds.pixelData(storedvalue=True) + np.int16(ds.RescaleIntercept) for ds in slices])


def read_with_pydicom(folder: str) -> None:
    import pydicom

    slices = sorted(map(pydicom.dcmread, Path(folder).iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    np.stack([ds.pixel_array + np.int16(int(ds.RescaleIntercept)) for ds in slices])


def read_with_simpleitk(folder: str) -> None:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    SimpleITK.GetArrayFromImage(reader.Execute())


def read_frames_with_pydicom(folder: str) -> None:
    """One multi-frame file; frames stay in the order of the file."""
    import pydicom

    pydicom.dcmread(Path(folder, "all.dcm")).pixel_array + np.int16(-1024)


def read_frames_with_simpleitk(folder: str) -> None:
    """One multi-frame file; frames stay in the order of the file."""
    import SimpleITK

    SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(Path(folder, "all.dcm")))


def read_with_monai(folder: str) -> None:
    from monai.data import ITKReader
    from monai.transforms import LoadImage

    LoadImage(ITKReader(series_meta=True), image_only=True)(folder)
