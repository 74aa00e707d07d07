"""How a result came about, for the record beside it."""

from __future__ import annotations

import contextlib
import functools
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab import __version__
from dlp_lab.processors import each_in_parts

FloatArray = NDArray[np.float64]

RECORD = "job.json"
"""The record's name in the folder of the result."""

_SLICES_AT_ONCE = 64
_PACKAGES = ("numpy", "scipy", "pydicom", "imagecodecs", "h5py")
_WHERE_INSTALLED = ("llvmlite", "onnxruntime", "highdicom")


@functools.cache  # of what this process has loaded; to look them up takes longer than to write a small series
def software_versions() -> dict[str, str]:
    """Versions of what took part in a result, and of what may have; not to be changed by who asks."""
    versions = {"dlp-lab": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES}
    for name in _WHERE_INSTALLED:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def value_profiles(voxels: NDArray[Any], step: float | None = None, offset: float = 0.0) -> dict[str, list[float]]:
    """Means over each slice, each row and each column of a volume: few numbers that tell when values were moved.

    A flip, another order of slices, a lost slope, clipped or truncated values all change one of them at least.

    Args:
        voxels: `(k, j, i)` values.
        step: The values are first rounded to the nearest `offset + n * step`, for files that hold no others.
        offset: Where the steps start.

    Returns:
        Lists of k, j and i numbers below "slice", "row" and "column".
    """
    profiles = ValueProfiles(voxels.shape, step, offset)
    for start in range(0, len(voxels), _SLICES_AT_ONCE):
        for number, means in enumerate(_means_of_slices(profiles, voxels[start : start + _SLICES_AT_ONCE])):
            profiles.take(start + number, *means)
    return profiles.means()


def _means_of_slices(profiles: ValueProfiles, planes: NDArray[Any]) -> list[tuple[FloatArray, FloatArray]]:
    return each_in_parts(lambda k: profiles.means_of(planes[k]), len(planes))


class ValueProfiles:
    """`value_profiles` of a volume whose slices come one after the other.

    Args:
        shape: Of the volume.
        step, offset: As there.
    """

    def __init__(self, shape: tuple[int, ...], step: float | None = None, offset: float = 0.0) -> None:
        slices, rows, columns = shape
        self._of_slices, self._of_rows, self._of_columns = np.zeros(slices), np.zeros(rows), np.zeros(columns)
        self._step, self._offset = step, offset

    def add(self, k: int, plane: NDArray[Any]) -> None:
        """Take in slice `k`, once."""
        self.take(k, *self.means_of(plane))

    def means_of(self, plane: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Means of the rows and of the columns of a slice; of several slices at once, on threads, if need be."""
        values = plane.astype(np.float64)
        if self._step is not None:
            _round_in_place(values, self._step, self._offset)
        return values.mean(axis=1), values.mean(axis=0)

    def take(self, k: int, of_rows: FloatArray, of_columns: FloatArray) -> None:
        """Take in the means of slice `k`, once."""
        slices = len(self._of_slices)
        self._of_slices[k] = of_rows.mean()
        self._of_rows += of_rows / slices
        self._of_columns += of_columns / slices

    def means(self) -> dict[str, list[float]]:
        """What `value_profiles` returns, of all slices."""
        named = {"slice": self._of_slices, "row": self._of_rows, "column": self._of_columns}
        return {name: means.tolist() for name, means in named.items()}


def _round_in_place(values: NDArray[np.float64], step: float, offset: float) -> None:
    # in place, for new arrays of a slice's size take longer than the sums
    values -= offset
    values /= step
    np.rint(values, out=values)
    values *= step
    values += offset
