from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_lab.dicom.rescale import Rescale, choose_rescales
from dlp_lab.dicom.series import one_series
from tests.phantom import write_phantom_series

FINITE = st.floats(-1e7, 1e7, allow_subnormal=False)


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    series = {}
    for modality in ("CT", "MR", "PT"):
        folder = tmp_path_factory.mktemp(modality)
        write_phantom_series(folder, modality=modality, shape=(3, 2, 2))
        series[modality] = one_series(folder).headers
    return series


@given(modality=st.sampled_from(["CT", "MR", "PT"]), low=FINITE, high=FINITE)
def test_every_value_is_stored_within_half_a_slope_and_none_is_clipped(headers, modality, low, high):
    values = np.linspace(min(low, high), max(low, high), 1001)
    rescale = choose_rescales(headers[modality], [values] * 3)[0]
    stored = rescale.store(values)
    real = stored.astype(np.float64) * rescale.slope + rescale.intercept
    # the last term is the rounding of the decimal strings themselves
    assert np.abs(real - values).max() <= rescale.slope * 0.5 + 1e-9 * np.abs(values).max()
    assert len(rescale.slope_text) <= 16
    assert len(rescale.intercept_text) <= 16


def test_the_slope_of_the_source_is_kept_where_it_serves(headers):
    ct = choose_rescales(headers["CT"], [np.array([-1000.0, 3000.25])] * 3)[0]
    assert (ct.slope, ct.intercept, ct.signed, ct.written) == (1, -1024, True, True)
    mr = choose_rescales(headers["MR"], [np.array([0.0, 3000.25])] * 3)[0]
    assert (mr.slope, mr.intercept, mr.signed, mr.written) == (1, 0, True, False)


def test_stored_values_become_unsigned_when_only_that_holds_them(headers):
    assert choose_rescales(headers["MR"], [np.array([0.0, 60000.0])] * 3)[0].signed is False


@pytest.mark.parametrize("intercept", [0, -1024, -1023, 8_388_606, 8_388_607, 2**24, -(2**25)])
def test_half_a_step_is_rounded_to_even_stored_values_in_float32_as_in_float64(intercept):
    rescale = Rescale("1", str(intercept), signed=True, written=True)
    stored = np.arange(-32768, 32767)
    for between in (0, 0.25, 0.5, 0.75):
        values = (stored + between + intercept).astype(np.float32)
        expected = np.rint(values.astype(np.float64) - intercept).astype(np.int16)
        np.testing.assert_array_equal(rescale.store(values), expected)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("value", [100, -1000, 37.3, 1e-3, 3e4])
def test_one_value_that_was_summed_up_in_several_orders_is_one_value(headers, modality, value):
    noise = np.linspace(-10, 10, 21).astype(np.float32) * np.spacing(np.float32(abs(value)))
    values = np.float32(value) + noise
    constant, noisy = (
        choose_rescales(headers[modality], [found] * 3)[0] for found in (np.full(3, value, np.float32), values)
    )
    assert noisy.slope == pytest.approx(constant.slope, rel=1e-5)
    real = noisy.store(values) * noisy.slope + noisy.intercept
    assert np.abs(real - values).max() <= noisy.slope * 0.5 + 1e-6 * abs(value)
    assert np.ptp(real) <= noisy.slope


def test_values_that_differ_by_more_than_rounding_get_a_slope_that_tells_them_apart(headers):
    values = np.linspace(100.2, 100.21, 1000).astype(np.float32)
    rescale = choose_rescales(headers["CT"], [values] * 3)[0]
    assert len(set(rescale.store(values))) == len(set(values))


def test_values_that_do_not_fit_are_stored_without_a_warning(recwarn):
    for values in (np.array([1e9], np.float32), np.array([1e30]), np.array([np.float32(3e38)])):
        Rescale("0.001", "0", signed=True, written=True).store(values)
        Rescale("1", "0", signed=True, written=True).store(values)
    assert not recwarn.list
