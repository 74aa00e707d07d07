from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dlp_lab.models import memory
from dlp_lab.models.description import Tiles
from dlp_lab.models.memory import Memory, free_bytes
from dlp_lab.models.tiling import tile_blocks, tile_shape

SHAPE = (61, 83, 47)


def passes(tile: tuple[int, int, int], halo: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """The lengths of all that a network is really run on."""
    run_on: list[tuple[int, ...]] = []

    def run(image: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        run_on.append(image.shape[1:])
        return image

    image = np.zeros((1, *SHAPE), np.float32)
    for _ in tile_blocks(image, tile, halo, run):
        pass
    return run_on


def test_a_volume_that_fits_is_not_cut():
    tiles = Tiles(halo=(5, 5, 5), bytes_per_voxel=10)
    assert tile_shape(SHAPE, tiles, math.prod(SHAPE) * 10) == SHAPE
    assert passes(SHAPE, (5, 5, 5)) == [SHAPE]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.1])
@pytest.mark.parametrize("halo", [(1, 1, 1), (5, 5, 5), (2, 9, 0)])
def test_no_pass_takes_more_than_it_may_and_no_other_tile_computes_less(halo, share):
    tiles = Tiles(halo=halo, bytes_per_voxel=10)
    may_take = int(share * math.prod(SHAPE) * 10)
    run_on = passes(tile_shape(SHAPE, tiles, may_take), halo)
    assert max(math.prod(lengths) for lengths in run_on) * 10 <= may_take
    computed = sum(math.prod(lengths) for lengths in run_on)
    for own in itertools.product(*(range(max(8, h), n + 1, 6) for n, h in zip(SHAPE, halo, strict=True))):
        others = passes(own, halo)
        if max(math.prod(lengths) for lengths in others) * 10 <= may_take:
            assert sum(math.prod(lengths) for lengths in others) >= computed


def test_where_nothing_fits_the_tile_is_about_as_large_as_the_halo():
    own = tile_shape(SHAPE, Tiles(halo=(9, 9, 9), bytes_per_voxel=10), 1)
    assert all(9 <= length <= 12 for length in own)


def test_a_run_takes_its_share_of_what_the_process_can_still_get(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 6291456 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_bytes() == 6 * 2**30
    (tmp_path / "memory.max").write_text(f"{4 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2**30}\n")
    assert Memory.of_machine() == Memory(network_bytes=2**30, blended_bytes=2**30)
    (tmp_path / "memory.max").write_text("max\n")
    assert Memory.of_machine() == Memory(network_bytes=2 * 2**30, blended_bytes=3 * 2**29)
