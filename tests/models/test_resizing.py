from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from dlp_lab import large_arrays
from dlp_lab.large_arrays import arrays_in_files
from dlp_lab.models.resizing import resized


def by_scipy(values: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """What scikit-image does for mode "edge" without smoothing."""
    factors = [wanted / own for wanted, own in zip(shape, values.shape, strict=True)]
    made = ndimage.zoom(values.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(made, values.min(), values.max())


def image() -> np.ndarray:
    return np.random.default_rng(0).normal(50, 400, (7, 15, 12)).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("shape", [(11, 13, 29), (3, 15, 5), (7, 8, 12), (14, 30, 24), (1, 1, 1)])
def test_values_are_those_of_scipys_zoom(order, shape):
    before = image()
    made = resized(before, shape, order, None)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, by_scipy(before, shape, order), atol=1e-3)
    np.testing.assert_array_equal(before, image())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 3])
def test_planes_across_a_coarse_axis_know_nothing_of_each_other(axis, order):
    values, shape = image(), [11, 13, 9]
    made = np.moveaxis(resized(values, (11, 13, 9), order, axis), axis, 0)
    planes = np.moveaxis(values, axis, 0)
    in_plane = tuple(length for other, length in enumerate(shape) if other != axis)
    for place, plane in enumerate(made):
        nearest = int(np.floor((place + 0.5) * len(planes) / shape[axis]))
        np.testing.assert_allclose(plane, by_scipy(planes[nearest], in_plane, order), atol=1e-3)


def test_splines_stay_within_the_values_that_were_there():
    step = np.zeros((8, 8, 8), np.float32)
    step[4:] = 100
    made = resized(step, (19, 19, 19), 3, None)
    assert (made.min(), made.max()) == (0, 100)


def test_as_many_voxels_are_a_copy():
    values = image()
    made = resized(values[::-1], values.shape, 3, 0)
    made[...] = 0
    np.testing.assert_array_equal(values, image())


@pytest.mark.parametrize("coarse_axis", [None, 0, 1, 2])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_no_memory_of_a_volume_is_taken_where_volumes_lie_in_files(tmp_path, monkeypatch, order, coarse_axis):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    before = np.random.default_rng(0).normal(50, 400, (40, 44, 48)).astype(np.float32)
    shape = (60, 66, 72)
    expected = resized(before, shape, order, coarse_axis)
    with arrays_in_files(tmp_path):
        tracemalloc.start()
        made = resized(before, shape, order, coarse_axis)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_array_equal(made, expected)
    assert most < 0.5 * made.nbytes
