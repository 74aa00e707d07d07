from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dlp_lab.kernels.picture import gray_picture, png_of, window_of


def test_another_reader_of_png_sees_the_same_pixels() -> None:
    gray = np.random.default_rng(1).integers(0, 256, (5, 7), np.uint8)
    image = Image.open(io.BytesIO(png_of(gray)))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (7, 5))
    assert np.array_equal(np.asarray(image), gray)


def test_a_picture_has_the_proportions_of_the_slice_in_mm_and_the_means_of_what_it_covers() -> None:
    values = np.arange(8 * 4, dtype=np.int16).reshape(8, 4) * 10
    picture = gray_picture(values, (0.5, 2.0), (0, 310), 4)
    assert picture.shape == (2, 4)
    expected = values.reshape(2, 4, 4).mean(axis=1) / 310 * 255
    assert np.abs(picture - expected).max() <= 0.5


def test_what_is_beyond_the_window_is_black_or_white_and_what_is_no_number_is_black() -> None:
    values = np.array([[-1e9, 0.0, 100.0, 1e9, np.nan]], np.float32)
    assert gray_picture(values, (1, 1), (0, 200), 5).tolist() == [[0, 0, 128, 255, 0]]


@pytest.mark.parametrize("value", [0, -7, 1e30, np.nan, np.inf])
def test_a_flat_slice_is_shown_gray_and_without_a_warning(value: float, recwarn: pytest.WarningsRecorder) -> None:
    values = np.full((3, 3), value, np.float32)
    window = window_of(values)
    picture = gray_picture(values, (1, 1), window, 3)
    assert len(np.unique(picture)) == 1
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_window_leaves_out_the_few_extreme_values() -> None:
    values = np.arange(1000.0).reshape(20, 50)
    values[0, 0], values[-1, -1] = -1e6, 1e6
    low, high = window_of(values)
    assert (low, high) == pytest.approx((10, 995), abs=2)
