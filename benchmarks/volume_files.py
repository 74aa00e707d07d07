"""A volume in a file, by dlp-lab and others: the contestants of `benchmarks.hdf5`, each called by its name.

zarr and NIfTI need their packages; where one is missing it fails, and the table says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import Compression, open_hdf5, read_hdf5, write_hdf5
from dlp_lab.store.hdf5_packing import CHUNK_SHAPE
from dlp_lab.volume import Volume

Voxels = NDArray[np.int16]
SLICES = 15


@dataclass(frozen=True)
class Format:
    """One way to keep a volume in a file.

    Attributes:
        write: Writes the voxels to a new file.
        read: All values.
        open: What gives slices when it is indexed.
    """

    write: Callable[[Voxels, Path], object]
    read: Callable[[Path], NDArray[Any]]
    open: Callable[[Path], Any]


def _own(compress: Compression) -> Format:
    """dlp-lab; slices of what is compressed are looked at by plain h5py, as viewers do."""

    def write(voxels: Voxels, path: Path) -> None:
        geometry = Geometry(voxels.shape, np.diag([1.0, 0.7, 0.7, 1.0]))
        write_hdf5(Volume(voxels, geometry, "HU", "CT"), path, compress=compress)

    def read(path: Path) -> NDArray[Any]:
        return np.asarray(read_hdf5(path).voxels)

    def look(path: Path) -> Any:
        return open_hdf5(path).voxels if compress == "none" else h5py.File(path)["entry/volume/image"]

    return Format(write, read, look)


def _h5py(**options: Any) -> Format:
    def write(voxels: Voxels, path: Path) -> None:
        with h5py.File(path, "w") as file:
            if chunks := options.get("chunks"):
                options["chunks"] = tuple(map(min, chunks, voxels.shape))
            file.create_dataset("image", data=voxels, **options)

    def read(path: Path) -> NDArray[Any]:
        with h5py.File(path) as file:
            return np.asarray(file["image"][()])

    return Format(write, read, lambda path: h5py.File(path)["image"])


def _zarr() -> Format:
    """With the codec and the chunks that zarr chooses itself."""

    def write(voxels: Voxels, path: Path) -> None:
        import zarr

        zarr.create_array(path, shape=voxels.shape, dtype=voxels.dtype)[:] = voxels

    def look(path: Path) -> Any:
        import zarr

        return zarr.open_array(path, mode="r")

    return Format(write, lambda path: np.asarray(look(path)[:]), look)


def _nifti() -> Format:
    """By nibabel, compressed; its axes are those of the array, not those of NIfTI."""

    def look(path: Path) -> Any:
        import nibabel

        return nibabel.Nifti1Image.from_filename(path).dataobj

    def write(voxels: Voxels, path: Path) -> None:
        import nibabel

        nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)

    return Format(write, lambda path: np.asarray(look(path)), look)


def _npy() -> Format:
    """As MONAI's CacheNTransDataset and GDSDataset keep what they made."""

    def write(voxels: Voxels, path: Path) -> None:
        with open(path, "wb") as file:
            np.save(file, voxels)

    return Format(write, lambda path: np.asarray(np.load(path)), lambda path: np.load(path, mmap_mode="r"))


def _bytes() -> Format:
    """The floor."""

    def write(voxels: Voxels, path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            for plane in voxels:
                file.write(plane.data)

    def read(path: Path) -> NDArray[Any]:
        values = np.empty(path.stat().st_size // 2, np.int16)
        with open(path, "rb", buffering=0) as file:
            file.readinto(values.data)
        return values.reshape(-1, 512, 512)

    return Format(write, read, lambda path: np.memmap(path, np.int16, "r").reshape(-1, 512, 512))


FORMATS: dict[str, Format] = {
    "floor: the bytes": _bytes(),
    "dlp-lab": _own("none"),
    "dlp-lab, gzip": _own("gzip"),
    "dlp-lab, zstd": _own("zstd"),
    "h5py": _h5py(),
    "h5py gzip": _h5py(compression="gzip"),
    "h5py gzip + shuffle": _h5py(compression="gzip", shuffle=True),
    "h5py gzip + shuffle, bricks": _h5py(compression="gzip", shuffle=True, chunks=CHUNK_SHAPE),
    "h5py lzf": _h5py(compression="lzf"),
    "h5py Blosc2 zstd, bricks": _h5py(
        chunks=CHUNK_SHAPE, **hdf5plugin.Blosc2(cname="zstd", clevel=1, filters=hdf5plugin.Blosc2.SHUFFLE)
    ),
    "zarr 3": _zarr(),
    "NIfTI.gz, nibabel": _nifti(),
    "numpy.save": _npy(),
}


def write(name: str, source: str, path: str) -> None:
    """Write the voxels of a .npy file."""
    FORMATS[name].write(_voxels(source), Path(path))


def read(name: str, source: str, path: str) -> None:
    """Read all, and see that it is what was written."""
    values = FORMATS[name].read(Path(path))
    if not np.array_equal(values[::7, ::7, ::7], _voxels(source)[::7, ::7, ::7]):
        raise AssertionError(f"{name} reads other values than it wrote")


def look(name: str, source: str, path: str, axis: str) -> None:
    """Copy slices all through an open volume out of it, in a plane across an axis."""
    opened = _opened(name, path)
    for index in np.random.default_rng(0).permutation(opened.shape[int(axis)])[:SLICES]:
        np.array(opened[(slice(None),) * int(axis) + (int(index),)], order="C")


@cache
def _voxels(source: str) -> Voxels:
    voxels: Voxels = np.load(source, mmap_mode="r")
    return voxels


@cache
def _opened(name: str, path: str) -> Any:
    return FORMATS[name].open(Path(path))
