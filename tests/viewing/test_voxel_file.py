"""Planes of a volume in a file are those of the array that was written there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.viewing.voxel_file import VoxelFile


@pytest.mark.parametrize("shape", [(7, 5, 6), (3, 4, 50), (600, 70, 37), (1, 1, 1)])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4"])
def test_every_plane_of_every_axis_is_read_in_any_order(
    tmp_path: Path, shape: tuple[int, int, int], dtype: str
) -> None:
    values = np.random.default_rng(0).integers(-3000, 3000, shape).astype(dtype)
    (tmp_path / "voxels").write_bytes(b"before" + values.tobytes() + b"behind")
    file = VoxelFile(os.open(tmp_path / "voxels", os.O_RDONLY), np.dtype(dtype), shape, offset=6)
    for axis, length in enumerate(shape):
        for index in np.random.default_rng(1).permutation(length)[:40]:
            assert np.array_equal(file.plane(axis, int(index)), np.take(values, index, axis)), (axis, index)


def test_the_file_is_closed_with_the_last_reference(tmp_path: Path) -> None:
    (tmp_path / "voxels").write_bytes(bytes(420))
    descriptor = os.open(tmp_path / "voxels", os.O_RDONLY)
    file = VoxelFile(descriptor, np.dtype("<i2"), (7, 5, 6))
    del file
    with pytest.raises(OSError):
        os.fstat(descriptor)
