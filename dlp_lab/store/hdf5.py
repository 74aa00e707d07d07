"""Volumes in HDF5. `docs/format.md` describes the layout.

The file is a NeXus file as well: HDF5 viewers that know `NXdata` show the middle slice first. Voxels are stored
contiguously, so that any plane can be read through a memory map.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import Hdf5Error, OutputExists
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume

FORMAT = "dlp-lab-volume"
FORMAT_VERSION = 1
Normalization = Literal["none", "minmax"]

_DATA = "entry/volume"
_IMAGE = "entry/volume/image"


def write_hdf5(volume: Volume, path: Path, normalize: Normalization = "none") -> None:
    """Write a volume, for its owner alone to read.

    Args:
        volume: What to write.
        path: New file. It is written under a hidden name and renamed when it is whole.
        normalize: "minmax" stores `(v - least) / (greatest - least)` as float32 in [0, 1]; the range is kept in the
            file, and `read_hdf5` undoes it.

    Raises:
        OutputExists: `path` exists; nothing is overwritten.
    """
    with _published_file(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
        file.attrs["default"] = "entry"
        entry, data = file.create_group("entry"), file.create_group(_DATA)
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "volume"
        data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "image"
        data.attrs["axes"] = ["slice", "row", "column"]
        data.attrs["default_slice"] = [str(volume.geometry.shape[0] // 2), ".", "."]
        for name, length, step in zip(
            ("slice", "row", "column"), volume.geometry.shape, volume.geometry.spacing_kji_mm, strict=True
        ):
            data[name] = np.arange(length) * step
            data[name].attrs["units"] = "mm"
        low, high = volume.value_range()
        image = data.create_dataset("image", data=_normalized(volume.voxels, low, high, normalize))
        image.attrs["normalization"] = normalize
        if normalize == "minmax":
            image.attrs["value_range"] = [low, high]
        if volume.unit:
            image.attrs["units"] = volume.unit
        geometry = entry.create_group("geometry")
        geometry["affine_kji_to_lps"] = volume.geometry.affine_kji_to_lps
        geometry["spacing_kji_mm"] = volume.geometry.spacing_kji_mm
        for name, value in (
            ("frame_of_reference_uid", volume.geometry.frame_of_reference_uid),
            ("source_series_uid", volume.source_series_uid),
            ("modality", volume.modality),
        ):
            if value:
                entry.attrs[name] = value


def read_hdf5(path: Path) -> Volume | NDArray[Any]:
    """Read a volume.

    Returns:
        The `Volume` of a file written by `write_hdf5`, its normalisation undone; the bare `(k, j, i)` array of any
        other file that holds exactly one 3-D dataset of numbers.

    Raises:
        Hdf5Error: The file does not exist, is no HDF5 file, or holds none or several 3-D datasets.
    """
    with _opened(path) as file:
        if file.attrs.get("format") == FORMAT:
            return _read_own(file, path)
        name = _only_volume(file, path)
        return _array(file, name, path)


def _read_own(file: h5py.File, path: Path) -> Volume:
    version = int(file.attrs.get("format_version", 0))
    if not 1 <= version <= FORMAT_VERSION:
        raise Hdf5Error(f"{path.name} has format version {version}; this program reads 1 to {FORMAT_VERSION}")
    try:
        entry = file["entry"]
        voxels = _array(file, _IMAGE, path)
        affine = _array(file, "entry/geometry/affine_kji_to_lps", path)
        image = file[_IMAGE].attrs
        if image["normalization"] == "minmax":
            low, high = (float(value) for value in image["value_range"])
            # in float64, so that integers of 16 bits come back within far less than their rounding
            voxels = (voxels.astype(np.float64) * (high - low) + low).astype(np.float32)
        return Volume(
            voxels=voxels,
            geometry=Geometry(voxels.shape, affine, entry.attrs.get("frame_of_reference_uid")),
            unit=image.get("units"),
            modality=entry.attrs.get("modality"),
            source_series_uid=entry.attrs.get("source_series_uid"),
        )
    except KeyError as error:
        raise Hdf5Error(f"{path.name} says it is a {FORMAT} file but lacks a part of it: {error}") from None


def _only_volume(file: h5py.File, path: Path) -> str:
    found: list[str] = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 3 and item.dtype.kind in "iuf":
            found.append(name)

    file.visititems(look)
    if len(found) != 1:
        listing = ": " + ", ".join(found[:5]) if found else ""
        raise Hdf5Error(f"{path.name} holds {len(found)} 3-D datasets of numbers{listing}; exactly one is needed")
    return found[0]


def _array(file: h5py.File, name: str, path: Path) -> NDArray[Any]:
    """The values of a dataset that lie in this very file."""
    dataset = file[name]
    # such data lies in other files, which a stranger's file could choose at will
    if dataset.external or dataset.is_virtual:
        raise Hdf5Error(f"{path.name}: {name} refers to data in other files, which is not read")
    values: NDArray[Any] = dataset[()]
    return values


def _normalized(voxels: NDArray[Any], low: float, high: float, normalize: Normalization) -> NDArray[Any]:
    if normalize == "none":
        return voxels
    width = high - low
    if width == 0:
        return np.zeros(voxels.shape, dtype=np.float32)
    return ((voxels.astype(np.float64) - low) / width).astype(np.float32)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise Hdf5Error(f"{path.name} does not exist; give an HDF5 file")
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise Hdf5Error(f"{path.name} is not a readable HDF5 file") from None
    with file:
        yield file


@contextmanager
def _published_file(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to; it becomes `path` only if all went well."""
    if path.exists():
        raise OutputExists(f"{path.name} already exists; choose another name, nothing is overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    try:
        # made before h5py opens it, which would leave to the umask who may read it
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
