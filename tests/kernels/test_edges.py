"""Places beyond the edge of an axis are those of scipy."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy import ndimage

from dlp_lab.kernels.edges import EdgeMode, inside


@pytest.mark.parametrize("mode", get_args(EdgeMode))
@pytest.mark.parametrize("length", [1, 2, 5])
def test_an_axis_goes_on_beyond_its_ends_as_in_scipy_at_any_distance(mode, length):
    axis = np.arange(length, dtype=float)
    continued = np.append(axis, 77.0)  # what lies beyond the edge is told as -1, the last
    for distance in range(-13, 14):
        picked = np.zeros(27)
        picked[13 + distance] = 1
        shifted = ndimage.correlate1d(axis, picked, mode=mode, cval=77.0)
        np.testing.assert_array_equal(continued[inside(np.arange(length) + distance, length, mode)], shifted)
