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
from dlp_lab.kernels.measures import LineSums, line_sums
from dlp_lab.processors import in_parts

FloatArray = NDArray[np.float64]
SliceMeans = tuple[FloatArray, FloatArray]
"""Of some slices: `(n, rows)` means of their rows, `(n, columns)` means of their columns."""

RECORD = "job.json"
"""The record's name in the folder of the result."""

_SLICES_AT_ONCE = 64
_SLICES_OF_A_CALL = 4
"""Fewer keep threads waiting for each other, more leave the cache."""
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
        profiles.add(start, voxels[start : start + _SLICES_AT_ONCE])
    return profiles.means()


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

    def add(self, first: int, planes: NDArray[Any], sums: LineSums | None = None) -> None:
        """Take in the slices from `first` on, `(n, j, i)`, each once; they are measured on several threads.

        Args:
            first: Index of the first.
            planes: Their values.
            sums: Of these as they are, where they are known already.
        """
        if sums is not None and self._rounds_values_themselves and planes.dtype.kind in "iu":
            of_rows, of_columns = self._means(sums, planes.shape, 0.0)
        else:
            of_rows, of_columns = np.empty(planes.shape[:2]), np.empty((len(planes), planes.shape[2]))

            def measure(start: int, end: int) -> None:
                for k in range(start, end, _SLICES_OF_A_CALL):
                    part = slice(k, min(k + _SLICES_OF_A_CALL, end))
                    of_rows[part], of_columns[part] = self._means_of(planes[part])

            in_parts(measure, len(planes))
        slices = len(self._of_slices)
        self._of_slices[first : first + len(planes)] = of_rows.mean(axis=1)
        # in the order of the slices, so that the bits do not depend on how many come at a time
        for rows, columns in zip(of_rows / slices, of_columns / slices, strict=True):
            self._of_rows += rows
            self._of_columns += columns

    @property
    def _rounds_values_themselves(self) -> bool:
        """Whether values are rounded to whole numbers, half to even: from an even offset that is the same as from 0."""
        return self._step in (None, 1) and self._offset % 2 == 0

    def _means_of(self, planes: NDArray[Any]) -> SliceMeans:
        if self._step is None and planes.dtype.kind == "f":
            values = planes.astype(np.float64)
            return values.mean(axis=2), values.mean(axis=1)
        if self._rounds_values_themselves:
            whole = planes if planes.dtype.kind in "iu" else np.rint(planes)
            return self._means(line_sums(whole), planes.shape, 0.0)
        steps = _steps(planes, 1.0 if self._step is None else self._step, self._offset)
        return self._means(line_sums(steps), planes.shape, self._offset)

    def _means(self, sums: LineSums, shape: tuple[int, ...], offset: float) -> SliceMeans:
        """Of lines whose sums are told in steps from the offset."""
        step = 1.0 if self._step is None else self._step
        return sums.of_rows / shape[2] * step + offset, sums.of_columns / shape[1] * step + offset

    def means(self) -> dict[str, list[float]]:
        """What `value_profiles` returns, of all slices."""
        named = {"slice": self._of_slices, "row": self._of_rows, "column": self._of_columns}
        return {name: means.tolist() for name, means in named.items()}


def _steps(planes: NDArray[Any], step: float, offset: float) -> FloatArray:
    """How many steps each value is from the offset."""
    steps = planes.astype(np.float64)
    # in place, for new arrays of a slice's size take longer than the sums
    steps -= offset
    steps /= step
    return np.rint(steps, out=steps)
