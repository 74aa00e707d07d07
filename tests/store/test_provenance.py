"""The record beside a result tells what its values are."""

from __future__ import annotations

import numpy as np
import pytest

from dlp_lab.store.provenance import value_profiles

VOXELS = np.random.default_rng(0).integers(-1000, 3000, (3, 4, 5)).astype(np.int16)


def test_profiles_are_the_means_over_slices_rows_and_columns() -> None:
    profiles = value_profiles(VOXELS)
    assert profiles["slice"] == pytest.approx(VOXELS.mean(axis=(1, 2)))
    assert profiles["row"] == pytest.approx(VOXELS.mean(axis=(0, 2)))
    assert profiles["column"] == pytest.approx(VOXELS.mean(axis=(0, 1)))


def test_profiles_can_be_of_rounded_values() -> None:
    steps = VOXELS * 0.5 + 0.25
    rounded, profiles = value_profiles(steps + 0.2, step=0.5, offset=0.25), value_profiles(steps)
    for axis in ("slice", "row", "column"):
        assert rounded[axis] == pytest.approx(profiles[axis], rel=1e-12)


@pytest.mark.parametrize("shape", [(9, 300, 257), (5, 130, 1)])
@pytest.mark.parametrize(("step", "offset"), [(1, 0), (1, -1024), (1, -1023), (0.25, 7)])
@pytest.mark.parametrize("low", [-32768, 0])
def test_profiles_of_all_that_16_bits_hold_are_exact(shape, step, offset, low) -> None:
    stored = np.random.default_rng(1).integers(low, low + 65536, shape)
    stored[0], stored[-1] = low, low + 65535
    voxels = (stored * step + offset).astype(np.float32)
    exact = voxels.astype(np.float64)
    profiles = value_profiles(voxels + np.float32(0.125 * step), step, offset)
    assert profiles["slice"] == pytest.approx(exact.mean(axis=(1, 2)), rel=1e-12, abs=1e-9)
    assert profiles["row"] == pytest.approx(exact.mean(axis=(0, 2)), rel=1e-12, abs=1e-9)
    assert profiles["column"] == pytest.approx(exact.mean(axis=(0, 1)), rel=1e-12, abs=1e-9)
    if (step, offset % 2) == (1, 0):
        assert value_profiles(voxels.astype(np.int32)) == profiles


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_shows_in_the_profile_of_its_axis(axis: int) -> None:
    name = ("slice", "row", "column")[axis]
    assert value_profiles(np.flip(VOXELS, axis))[name] == pytest.approx(value_profiles(VOXELS)[name][::-1])
