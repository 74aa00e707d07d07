from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dlp_lab.models.resampling import AxisPlaces, interpolated_plane, values_at


@pytest.fixture
def scores() -> np.ndarray:
    """A part of a larger array, as the inner part of a tile is."""
    return np.random.default_rng(0).normal(size=(3, 9, 8, 11)).astype(np.float32)[:, 1:7, 2:7, 3:10]


def test_values_between_voxels_are_those_of_scipy(scores):
    points = np.random.default_rng(1).uniform(0, 1, size=(3, 500)) * (np.array([[6], [5], [7]]) - 1)
    points[:, :2] = [[5, 0], [4, 0], [6, 0]]  # the last voxel and the first
    for channel, found in zip(scores, values_at(scores, points), strict=True):
        np.testing.assert_allclose(found, ndimage.map_coordinates(channel, points, order=1), atol=1e-6)


def test_an_axis_of_one_voxel_has_its_value_alone(scores):
    points = np.array([[0.0, 0.0], [0.0, 0.0], [2.5, 6.0]])
    (found,) = values_at(scores[:1, 2:3, 1:2], points)
    line = scores[0, 2, 1]
    np.testing.assert_allclose(found, [(line[2] + line[3]) / 2, line[6]], atol=1e-6)


def test_a_whole_plane_and_single_places_get_the_same_values_to_the_last_bit(scores):
    places = [np.array([2.3]), np.linspace(0, 4, 9), np.linspace(0, 6, 17)]
    axes = [AxisPlaces.of(along, length) for along, length in zip(places, scores.shape[1:], strict=True)]
    points = np.stack([along.ravel() for along in np.meshgrid(*places, indexing="ij")])
    for channel, found in zip(scores, values_at(scores, points), strict=True):
        np.testing.assert_array_equal(found, interpolated_plane(channel, axes, 0).ravel())
