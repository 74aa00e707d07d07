"""Readers as functions of bytes: whatever bytes come, they return or raise nothing but their own errors."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable
from functools import cache
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

from dlp_lab.dicom.header_reading import read_header
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.similar_headers import Found, read_headers
from dlp_lab.errors import DlpError
from dlp_lab.store.hdf5 import open_hdf5, read_hdf5, write_hdf5
from tests.enhanced_phantom import write_enhanced_phantom
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


def read_dicom_headers(content: bytes) -> None:
    """Read headers of files with this content beside right ones, whose headers must not rub off on them."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        paths = []
        for number, bytes_of_one in enumerate((*_right_files(), content, content)):
            paths.append(Path(folder, f"{number}"))
            paths[-1].write_bytes(bytes_of_one)
        for order in (paths, paths[::-1]):
            for path, found in zip(order, read_headers(order), strict=True):
                check_header(path, found)


def check_header(path: Path, found: Found) -> None:
    """Compare what was found with the header that pydicom reads of this file alone, or why it does not."""
    try:
        alone: Found = read_header(path)
    except DlpError as error:
        assert (type(found), str(found)) == (type(error), str(error)), path
        return
    assert found == alone, path
    assert _types_of_fields(found) == _types_of_fields(alone), path


def _types_of_fields(found: Found) -> list[type]:
    return [type(getattr(found, field.name)) for field in dataclasses.fields(found)]


@cache
def _right_files() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [path.read_bytes() for path in write_corpus("dicom", Path(folder))]


def read_hdf5_file(content: bytes) -> None:
    """Read an HDF5 file of this content, and open it."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        path = Path(folder, "volume.h5")
        path.write_bytes(content)
        with contextlib.suppress(DlpError):
            read_hdf5(path)
        with contextlib.suppress(DlpError):
            open_hdf5(path).voxels.sum()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "dicom": read_dicom,
    "headers": read_dicom_headers,
    "hdf5": read_hdf5_file,
}


def write_corpus(target: str, folder: Path) -> list[Path]:
    """Files that are right, to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, syntax in enumerate(_SYNTAXES):
        with tempfile.TemporaryDirectory() as made:
            phantom = write_phantom_series(Path(made, "s"), modality="MR", shape=(1, 40, 48), transfer_syntax=syntax)
            if target != "hdf5":
                (folder / f"{number}").write_bytes(phantom.files[0].read_bytes())
                continue
            for compress in ("none", "gzip", "zstd"):
                (folder / f"own-{compress}").unlink(missing_ok=True)
                write_hdf5(read_volume(one_series(phantom.folder)), folder / f"own-{compress}", compress=compress)
    if target == "hdf5":
        _write_plain_hdf5(folder / "plain")
    else:
        for name, syntax in (("native frames", ExplicitVRLittleEndian), ("compressed frames", RLELossless)):
            write_enhanced_phantom(folder / name, modality="MR", shape=(3, 5, 6), transfer_syntax=syntax)
    return sorted(folder.iterdir())


def _write_plain_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("a", data=np.arange(60).reshape(3, 4, 5), chunks=(1, 4, 5), **options)


def _fast_folder() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None
