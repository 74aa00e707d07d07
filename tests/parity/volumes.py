"""Volumes on which two programs are compared: made ones that no turn or shift leaves alike, and real ones."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume
from tests.phantom import ORIENTATIONS

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DATA = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))


def blobs(
    orientation: str = "axial",
    shape: tuple[int, int, int] = (21, 54, 47),
    spacing_kji_mm: tuple[float, float, float] = (2.5, 1.1, 1.4),
    modality: str = "CT",
    seed: int = 0,
    air: float = 0.0,
) -> Volume:
    """Smooth random values in an ellipsoid with a hole, `air` around it; the tissue's values are far from it."""
    rng = np.random.default_rng(seed)
    coarse = ndimage.gaussian_filter(rng.normal(size=shape), (1.0, 2.2, 1.8))
    values = np.rint(150 + 350 * coarse / coarse.std()).astype(np.int16)
    values[values == 0] = 1
    at = np.moveaxis(np.indices(shape) / (np.reshape(shape, (3, 1, 1, 1)) - 1) * 2 - 1, 0, -1)
    values[(at**2 @ (1.3, 1.2, 1.25)) > 1] = air
    values[(((at - (0.1, 0.2, -0.1)) / 0.12) ** 2).sum(axis=-1) < 1] = air
    row, column = np.reshape(ORIENTATIONS[orientation], (2, 3))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * spacing_kji_mm
    affine[:3, 3] = (-61.5, 38.25, -40.125)
    return Volume(values, Geometry(shape, affine), modality=modality)


def real_mr(folder: Path) -> Volume | None:
    """The T1-weighted MR of a head, every third voxel; None without the test data."""
    return _real(folder, "mr_t1_studyforrest", (3, 3, 3))


def real_ct(folder: Path) -> Volume | None:
    """The CT of a head, every fourth voxel in the plane; None without the test data."""
    return _real(folder, "ct_head_invesalius", (1, 4, 4))


def _real(folder: Path, name: str, steps: tuple[int, int, int]) -> Volume | None:
    if not (DATA / name).is_dir():
        return None
    unpacked = folder / name
    if not unpacked.is_dir():
        unpacked.mkdir(parents=True)
        for path in (DATA / name).rglob("*.zip"):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(unpacked)
    found = read_volume(one_series(unpacked if any(unpacked.iterdir()) else DATA / name))
    affine = found.geometry.affine_kji_to_lps @ np.diag([*steps, 1])
    voxels = np.ascontiguousarray(found.voxels[:: steps[0], :: steps[1], :: steps[2]])
    return Volume(voxels, Geometry(voxels.shape, affine), modality=found.modality)


def write_nifti(volume: Volume, path: Path, voxels: np.ndarray | None = None) -> Path:
    """A volume, or other voxels on its grid, as NIfTI."""
    affine = LPS_TO_RAS @ volume.geometry.affine_kji_to_lps[:, [2, 1, 0, 3]]
    array = (volume.voxels if voxels is None else voxels).transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(np.asarray(array, np.float32), affine), path)
    return path


def read_nifti(path: Path) -> np.ndarray:
    """The voxels of a file that `write_nifti` could have written, `(k, j, i)`."""
    return np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
