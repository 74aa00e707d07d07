"""Readers as functions of bytes: whatever bytes come, they return or raise nothing but their own errors."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.errors import DlpError
from dlp_lab.store.hdf5 import open_hdf5, read_hdf5, write_hdf5
from tests.phantom import write_phantom_series

_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)


def read_dicom(content: bytes) -> None:
    """Scan and read a folder with one file of this content."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        Path(folder, "slice").write_bytes(content)
        with contextlib.suppress(DlpError):
            read_volume(one_series(Path(folder)))


def read_hdf5_file(content: bytes) -> None:
    """Read an HDF5 file of this content, and open it."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        path = Path(folder, "volume.h5")
        path.write_bytes(content)
        with contextlib.suppress(DlpError):
            read_hdf5(path)
        with contextlib.suppress(DlpError):
            open_hdf5(path).voxels.sum()


TARGETS: dict[str, Callable[[bytes], None]] = {"dicom": read_dicom, "hdf5": read_hdf5_file}


def write_corpus(target: str, folder: Path) -> list[Path]:
    """Files that are right, to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, syntax in enumerate(_SYNTAXES):
        with tempfile.TemporaryDirectory() as made:
            phantom = write_phantom_series(Path(made, "s"), modality="MR", shape=(1, 40, 48), transfer_syntax=syntax)
            if target == "dicom":
                (folder / f"{number}").write_bytes(phantom.files[0].read_bytes())
                continue
            for compress in ("none", "gzip"):
                (folder / f"own-{compress}").unlink(missing_ok=True)
                write_hdf5(read_volume(one_series(phantom.folder)), folder / f"own-{compress}", compress=compress)
    if target == "hdf5":
        _write_plain_hdf5(folder / "plain")
    return sorted(folder.iterdir())


def _write_plain_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("a", data=np.arange(60).reshape(3, 4, 5), chunks=(1, 4, 5), **options)


def _fast_folder() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None
