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
