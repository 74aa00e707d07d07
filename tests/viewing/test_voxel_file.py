"""Planes of a volume in a file are those of the array that was written there."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlp_lab.viewing.voxel_file import VoxelFile
from tests.patience import PATIENCE_S


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


def test_reading_stops_when_nobody_waits_for_the_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voxels").write_bytes(bytes(600 * 70 * 37 * 2))
    file = VoxelFile(os.open(tmp_path / "voxels", os.O_RDONLY), np.dtype("<i2"), (600, 70, 37))
    begun, may_go_on, reads = threading.Event(), threading.Event(), []
    preadv = os.preadv

    def waiting(*arguments: Any) -> int:
        reads.append(arguments)
        begun.set()
        may_go_on.wait(PATIENCE_S)
        return preadv(*arguments)

    async def give_up() -> None:
        asked = asyncio.ensure_future(file.plane_in_thread(2, 20))
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        asked.cancel()
        await asyncio.wait([asked])
        may_go_on.set()

    monkeypatch.setattr(os, "preadv", waiting)
    asyncio.run(give_up())  # waits for its threads
    assert len(reads) == 1


def test_the_file_is_closed_with_the_last_reference(tmp_path: Path) -> None:
    (tmp_path / "voxels").write_bytes(bytes(420))
    descriptor = os.open(tmp_path / "voxels", os.O_RDONLY)
    file = VoxelFile(descriptor, np.dtype("<i2"), (7, 5, 6))
    del file
    with pytest.raises(OSError):
        os.fstat(descriptor)
