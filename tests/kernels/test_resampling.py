from __future__ import annotations

import numpy as np
from scipy import ndimage

from dlp_lab.kernels.resampling import resampled

SHAPE = (7, 9, 8)


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def test_the_same_grid_gives_the_same_values():
    found, covered = resampled(noise(), np.eye(3), np.zeros(3), SHAPE)
    np.testing.assert_array_equal(found, noise())
    assert covered == 1


def test_an_oblique_grid_inside_gives_what_scipy_interpolates():
    matrix = np.array([[0.5, 0.1, 0], [-0.1, 0.6, 0.05], [0, -0.05, 0.5]])
    offset = np.array([1.5, 1.75, 1.25])
    found, covered = resampled(noise(), matrix, offset, (5, 6, 7))
    expected = ndimage.affine_transform(noise(), matrix, offset, (5, 6, 7), order=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert covered == 1


def test_voxels_reach_to_their_outer_edge_and_beyond_it_is_the_least_value():
    values = noise()
    step = np.diag([1.0, 1.0, 0.25])
    found, covered = resampled(values, step, np.array([0.0, 0.0, -1.0]), (7, 9, 40))
    at = 0.25 * np.arange(40) - 1
    is_inside = (at >= -0.5) & (at <= 7.5)
    assert (found[..., ~is_inside] == values.min()).all()
    np.testing.assert_array_equal(found[..., (at >= -0.5) & (at <= 0)], values[..., :1].repeat(3, axis=2))
    np.testing.assert_array_equal(found[..., (at >= 7) & (at <= 7.5)], values[..., -1:].repeat(3, axis=2))
    assert covered == is_inside.mean()


def test_a_grid_beside_the_volume_is_not_covered_at_all():
    found, covered = resampled(noise(), np.eye(3), np.array([0, 0, 100.0]), SHAPE)
    assert covered == 0
    assert (found == noise().min()).all()
