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
    assert value_profiles(steps + 0.2, step=0.5, offset=0.25) == value_profiles(steps)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_shows_in_the_profile_of_its_axis(axis: int) -> None:
    name = ("slice", "row", "column")[axis]
    assert value_profiles(np.flip(VOXELS, axis))[name] == pytest.approx(value_profiles(VOXELS)[name][::-1])
