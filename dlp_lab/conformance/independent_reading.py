"""A series as another program reads it.

Positions are compared here without `dlp_lab.geometry`, on purpose: the two sides of the comparison share no code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.conformance.programs import run_dcm2niix

FloatArray = NDArray[np.float64]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PAIRING_TOLERANCE_VOXELS = 0.25
"""A grid whose voxels lie further from another's cannot be paired with it."""


class NotOneVolume(Exception):
    """dcm2niix makes no volume of the files, or several."""


@dataclass(frozen=True, eq=False)
class IndependentReading:
    """A series as dcm2niix reads it: `(i, j, k)` values, counted as it likes, and the affine to RAS mm."""

    values_ijk: FloatArray
    affine_ijk_to_ras: FloatArray

    def on_grid(self, affine_kji_to_lps: FloatArray, shape: Sequence[int]) -> FloatArray | None:
        """The values in the order of a grid of ours.

        Args:
            affine_kji_to_lps: Of the grid.
            shape: Its `(k, j, i)` lengths.

        Returns:
            `(k, j, i)` values, or None if the voxels do not lie on that grid.
        """
        to_index = np.linalg.inv(affine_kji_to_lps) @ _RAS_TO_LPS @ self.affine_ijk_to_ras
        steps = np.rint(to_index)
        axes = np.abs(steps[:3, :3])
        if not (axes.sum(axis=0) == 1).all() or not (axes.sum(axis=1) == 1).all():
            return None
        values = self.values_ijk.transpose([int(row.argmax()) for row in axes])
        values = values[tuple(slice(None, None, int(sign)) for sign in steps[:3, :3].sum(axis=1))]
        corner = np.array(self.values_ijk.shape) - 1
        ends = np.array([[0, 0, 0, 1], [*corner, 1]]).T
        off_voxels = np.abs((to_index - steps) @ ends).max()
        starts_at_zero = np.array_equal((steps @ ends)[:3].min(axis=1), np.zeros(3))
        if values.shape != tuple(shape) or off_voxels > _PAIRING_TOLERANCE_VOXELS or not starts_at_zero:
            return None
        return values

    def in_order_of(self, other: IndependentReading) -> IndependentReading:
        """The same reading, its axes and their directions as in another; itself if they cannot be paired.

        dcm2niix counts the voxels of a series by what its headers say besides, such as that it was acquired in 3-D.
        """
        steps = np.rint(np.linalg.inv(other.affine_ijk_to_ras) @ self.affine_ijk_to_ras)[:3, :3]
        if not (np.abs(steps).sum(axis=0) == 1).all() or not (np.abs(steps).sum(axis=1) == 1).all():
            return self
        order = [int(row.argmax()) for row in np.abs(steps)]
        signs = steps.sum(axis=1).astype(int)
        values = self.values_ijk.transpose(order)
        affine = self.affine_ijk_to_ras.copy()
        for axis, (before, sign) in enumerate(zip(order, signs, strict=True)):
            affine[:3, axis] = sign * self.affine_ijk_to_ras[:3, before]
            if sign < 0:
                affine[:3, 3] += (values.shape[axis] - 1) * self.affine_ijk_to_ras[:3, before]
        return IndependentReading(values[tuple(slice(None, None, int(sign)) for sign in signs)], affine)


def read_with_dcm2niix(paths: Sequence[Path]) -> IndependentReading:
    """Read files that are one series.

    Raises:
        NotOneVolume: dcm2niix does not make one volume of them.
    """
    import nibabel

    with tempfile.TemporaryDirectory() as made:
        files, target = Path(made, "files"), Path(made, "nifti")
        files.mkdir()
        target.mkdir()
        # the folder of a series may hold other files, and dcm2niix reads all that it finds
        for number, path in enumerate(paths):
            (files / f"{number:05d}.dcm").symlink_to(path.resolve())
        images = run_dcm2niix(files, target)
        if len(images) != 1:
            raise NotOneVolume(f"dcm2niix makes {len(images)} volumes of the {len(paths)} files, not one")
        image: Any = nibabel.load(images[0])
        values = np.asarray(image.dataobj, dtype=np.float64)
        if values.ndim == 2:
            values = values[..., None]
        if values.ndim != 3:
            raise NotOneVolume(f"dcm2niix makes {values.shape[3]} volumes of the {len(paths)} files, not one")
        return IndependentReading(values, np.asarray(image.affine, dtype=np.float64))
