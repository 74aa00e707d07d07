"""A series' own values written again as a new series, by other libraries. The source is read
in the round that warms up."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid


@cache
def _paths(source: str) -> list[Path]:
    places = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in Path(source).iterdir()}
    return sorted(places, key=lambda path: places[path].ImagePositionPatient[2])


@cache
def _contents(source: str) -> list[bytes]:
    return [path.read_bytes() for path in _paths(source)]


@cache
def _values(source: str) -> np.ndarray:
    return np.stack([pydicom.dcmread(path).pixel_array for path in _paths(source)])


def write_bytes(source: str, target: str) -> None:
    """The floor: the bytes of the source's files into as many new ones."""
    for k, content in enumerate(_contents(source)):
        Path(target, f"{k:04d}").write_bytes(content)


def _save(ds: pydicom.Dataset, k: int, series_uid: str, source: str, target: str) -> None:
    ds.SeriesInstanceUID = series_uid
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.add_new("PixelData", "OW", _values(source)[k].astype("<i2", copy=False).tobytes())
    ds.save_as(Path(target, f"{k:04d}"))


def with_pydicom_reading(source: str, target: str) -> None:
    """Each slice by the header of its own file."""
    series_uid = generate_uid()
    for k, path in enumerate(_paths(source)):
        _save(pydicom.dcmread(path), k, series_uid, source, target)


def with_pydicom_copying(source: str, target: str) -> None:
    """All slices by the header of the first file."""
    series_uid, paths = generate_uid(), _paths(source)
    template = pydicom.dcmread(paths[0], stop_before_pixels=True)
    for k in range(len(paths)):
        ds = copy.deepcopy(template)
        ds.InstanceNumber, ds.ImagePositionPatient = k + 1, [0, 0, k]
        _save(ds, k, series_uid, source, target)


def with_simpleitk(source: str, target: str) -> None:
    """Bare headers."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(_values(source))
    writer = SimpleITK.ImageFileWriter()
    for k in range(image.GetDepth()):
        writer.SetFileName(str(Path(target, f"{k:04d}.dcm")))
        writer.Execute(image[:, :, k])
