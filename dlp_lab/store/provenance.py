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

RECORD = "job.json"
"""The record's name in the folder of the result."""

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
    slices, rows, columns = voxels.shape
    of_slices, of_rows, of_columns = np.zeros(slices), np.zeros(rows), np.zeros(columns)
    for k, plane in enumerate(voxels):
        values = plane.astype(np.float64)
        if step is not None:
            _round_in_place(values, step, offset)
        of_slices[k] = values.mean()
        of_rows += values.mean(axis=1) / slices
        of_columns += values.mean(axis=0) / slices
    return {"slice": of_slices.tolist(), "row": of_rows.tolist(), "column": of_columns.tolist()}


def _round_in_place(values: NDArray[np.float64], step: float, offset: float) -> None:
    # in place, for new arrays of a slice's size take longer than the sums
    values -= offset
    values /= step
    np.rint(values, out=values)
    values *= step
    values += offset
