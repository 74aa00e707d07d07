"""A product with few rows and columns gives scipy's sums of a wide kernel, within the part of the range it says."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dlp_lab.errors import JobCancelled
from dlp_lab.kernels import gaussian
from dlp_lab.kernels.edges import EdgeMode
from dlp_lab.kernels.gaussian import gaussian_filter
from dlp_lab.kernels.wide_kernels import TOLERANCE, line_mixing, mix_volume
from dlp_lab.tasks.task import no_report


def mixed(values, sigma_kji, mode, *, truncate=4.0, cval=0.0, threads=1, report=lambda fraction: None):
    result = values.astype(np.float32)
    mixings = [
        line_mixing(sigma, truncate, length, mode, cval) if sigma else None
        for sigma, length in zip(sigma_kji, values.shape, strict=True)
    ]
    mix_volume(result, mixings, threads, report)
    return result


@settings(max_examples=100, deadline=None)
@given(
    length=st.one_of(st.integers(1, 40), st.integers(40, 300)),
    widths=st.floats(0.05, 3),
    mode=st.sampled_from(get_args(EdgeMode)),
    truncate=st.floats(0.3, 6),
)
@example(1, 2.0, "constant", 4.0)
@example(2, 1.0, "mirror", 4.0)
@example(257, 0.2, "reflect", 4.0)
@example(300, 0.5, "nearest", 4.0)
def test_no_line_has_sums_that_differ_by_more_than_the_tolerance(length, widths, mode, truncate):
    """Lines with a single 1 give the matrix, and by it the line of values from 0 to 1 with the largest difference."""
    sigma = max(widths * length, 1.0)
    found = mixed(np.eye(length)[np.newaxis], (0, sigma, 0), mode, truncate=truncate)[0].astype(np.float64)
    expected = ndimage.gaussian_filter1d(np.eye(length), sigma, 0, mode=mode, truncate=truncate)
    difference = found - expected
    rounding = 2e-7 * np.abs(found).sum(axis=1).max()
    assert np.maximum(difference, 0).sum(axis=1).max() <= TOLERANCE + rounding
    assert np.maximum(-difference, 0).sum(axis=1).max() <= TOLERANCE + rounding


@pytest.mark.parametrize("mode", get_args(EdgeMode))
@pytest.mark.parametrize("value", [-1024.0, 30000.0])
def test_a_constant_volume_stays_as_it_is(mode, value):
    values = np.full((5, 161, 130), value)
    for sigma_kji in ((0, 19.3, 0), (4, 60, 50)):  # of the first, what is left out reaches lines of ones most
        found = mixed(values, sigma_kji, mode, cval=value)
        np.testing.assert_allclose(found, value, rtol=8e-7)


@pytest.mark.parametrize("mode", get_args(EdgeMode))
@pytest.mark.parametrize("sigma_kji", [(20, 0, 0), (0, 60, 0), (0, 0, 60), (9, 60, 0), (0, 40, 60), (9, 40, 60)])
def test_any_axes_together_are_scipys(mode, sigma_kji):
    values = np.random.default_rng(1).integers(-1000, 3000, (9, 130, 161)).astype(np.float32)
    found = mixed(values, sigma_kji, mode, cval=77.0, threads=2)
    expected = ndimage.gaussian_filter(values, sigma_kji, mode=mode, cval=77.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=np.count_nonzero(sigma_kji) * TOLERANCE * 4000)


def test_a_wide_kernel_needs_few_products():
    for mode in ("nearest", "reflect"):
        mixing = line_mixing(91.0, 4.0, 512, mode, 0.0)
        assert [len(chain) for chain in (mixing.even, mixing.odd)] == [2, 2]
        assert max(len(chain[0]) for chain in (mixing.even, mixing.odd)) < 40


def test_planes_have_the_same_bits_whichever_are_beside_them():
    values = np.random.default_rng(1).normal(0, 1000, (40, 130, 161)).astype(np.float32)
    whole = mixed(values, (0, 40, 60), "nearest")
    for some in (slice(0, 1), slice(3, 40), slice(17, 29)):
        np.testing.assert_array_equal(mixed(values[some], (0, 40, 60), "nearest", threads=3), whole[some])


def test_the_same_kernel_is_made_once():
    assert line_mixing(40.0, 4.0, 90, "wrap", 0.0) is line_mixing(40.0, 4.0, 90, "wrap", 0.0)


def test_a_kernel_of_a_million_taps_is_no_more_work():
    found = gaussian_filter(
        np.eye(40, 50, dtype=np.float32)[np.newaxis],
        (1e4, 1e4, 1e4),
        truncate=50.0,
        mode="reflect",
        threads=1,
        report=no_report,
    )
    np.testing.assert_allclose(found, 40 / (40 * 50), rtol=1e-4)


def test_what_is_not_finite_reaches_no_farther_than_the_taps_of_a_wide_kernel():
    values = np.zeros((2, 300, 3), np.float32)
    values[0, 10, 1] = np.nan
    found = gaussian_filter(values, (0, 30, 0), truncate=4.0, mode="nearest", threads=1, report=no_report)
    np.testing.assert_array_equal(
        np.isnan(found), np.isnan(ndimage.gaussian_filter(values, (0, 30, 0), mode="nearest"))
    )
    assert gaussian.wide_axes([np.ones(1), np.ones(241), np.ones(1)], np.zeros_like(values)) == [False, True, False]


def test_progress_is_told_and_what_a_report_raises_ends_the_work():
    told = []
    values = np.zeros((16, 300, 400))
    mixed(values, (9, 60, 0), "nearest", report=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) > 4

    def cancel(fraction):
        raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        mixed(values, (9, 60, 0), "nearest", report=cancel)
