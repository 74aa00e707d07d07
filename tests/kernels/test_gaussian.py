"""The Gaussian is scipy's, whoever makes the sums, whatever the volume."""

from __future__ import annotations

import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dlp_lab.errors import JobCancelled
from dlp_lab.kernels import gaussian, separable
from dlp_lab.kernels.compiled import CompiledPasses
from dlp_lab.kernels.edges import EdgeMode, plain_mode
from dlp_lab.kernels.gaussian import gaussian_filter, gaussian_in_slabs
from dlp_lab.kernels.gaussian_weights import gaussian_weights
from dlp_lab.kernels.passes import BandedPasses, PlainPasses
from dlp_lab.tasks.task import no_report

WAYS = {"machine code": CompiledPasses(), "BLAS": BandedPasses(), "scipy": PlainPasses()}


def filtered(voxels, sigma_kji, *, truncate=4.0, mode="nearest", threads=2, report=no_report, cval=0.0, result=None):
    return gaussian_filter(
        voxels, sigma_kji, truncate=truncate, mode=mode, threads=threads, report=report, cval=cval, result=result
    )


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setattr(gaussian, "_passes", lambda voxels: WAYS[request.param])
    return request.param


def filtered_in_slabs(voxels, sigma_kji, thickness, *, mode="nearest", threads=2, dtype=np.float32):
    """The same, made of slabs whose memory holds something else afterwards."""
    slabs = gaussian_in_slabs(voxels.shape, sigma_kji, truncate=4.0, mode=mode, threads=threads)
    reach, taken, results = len(gaussian_weights(sigma_kji[0], 4.0)) // 2, 0, []
    while slabs.made < len(voxels):
        stop = min(len(voxels), slabs.made + thickness + reach)
        slab = voxels[taken:stop].copy()
        results.append(np.full((slabs.made_with(len(slab)) - slabs.made, *voxels.shape[1:]), -77, dtype))
        slabs.take(slab, results[-1], no_report)
        slab[...] = 99
        taken = stop
    return np.concatenate(results)


def some_voxels(shape, dtype=np.int16):
    return np.random.default_rng(sum(shape)).integers(0, 250, shape).astype(dtype)


sigmas = st.one_of(st.just(0.0), st.floats(0.01, 3), st.floats(3, 60))


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 90), st.integers(1, 50)),
    sigma_kji=st.tuples(sigmas, sigmas, sigmas),
    mode=st.sampled_from(get_args(EdgeMode)),
    truncate=st.floats(0.5, 6),
    dtype=st.sampled_from([np.int16, np.uint8, np.uint16, np.int32, np.float32, np.float64]),
    view=st.sampled_from(["as it is", "transposed", "backwards", "every other"]),
    passes=st.sampled_from(list(WAYS)),
    threads=st.integers(1, 3),
    cval=st.floats(-250, 250),
)
@example((1, 1, 1), (3.0, 3.0, 3.0), "mirror", 4.0, np.int16, "as it is", "machine code", 1, 0.0)
@example((33, 64, 48), (9.0, 0.0, 2.0), "wrap", 4.0, np.float32, "transposed", "BLAS", 2, 0.0)
@example((2, 90, 3), (50.0, 40.0, 0.3), "reflect", 4.0, np.int16, "every other", "machine code", 2, 0.0)
@example((1, 30, 1), (2.0, 1.0, 1.5), "constant", 4.0, np.int16, "as it is", "BLAS", 1, 100.0)
@example((2, 90, 32), (50.0, 2.0, 4.0), "constant", 4.0, np.int16, "backwards", "machine code", 3, 100.0)
@example((40, 33, 16), (1.5, 8.1, 4.0), "grid-constant", 4.0, np.uint8, "every other", "BLAS", 3, -3.5)
def test_it_is_scipys_for_any_volume_within_a_ten_thousandth_of_its_range(
    shape, sigma_kji, mode, truncate, dtype, view, passes, threads, cval
):
    voxels = some_voxels(shape, dtype)
    voxels = {"transposed": voxels.T, "backwards": voxels[::-1, :, ::-1], "every other": voxels[:, ::2]}.get(
        view, voxels
    )
    before = voxels.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gaussian, "_passes", lambda _: WAYS[passes])
        result = filtered(voxels, sigma_kji, truncate=truncate, mode=mode, threads=threads, cval=cval)
    reference = ndimage.gaussian_filter(voxels.astype(np.float32), sigma_kji, mode=mode, truncate=truncate, cval=cval)
    np.testing.assert_allclose(result, reference, rtol=0, atol=1e-4 * 250)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(voxels, before)


def test_it_is_scipys_where_values_are_large_and_differ_little(way):
    voxels = (30000 + some_voxels((20, 40, 40)) % 20).astype(np.int16)
    reference = ndimage.gaussian_filter(voxels.astype(np.float64), (2, 3, 1))
    np.testing.assert_allclose(filtered(voxels, (2, 3, 1), mode="reflect"), reference, rtol=6e-7)


def test_it_is_scipys_where_several_strips_and_threads_meet(way):
    voxels = some_voxels((21, 200, 75))
    reference = ndimage.gaussian_filter(voxels.astype(np.float32), (2, 5, 3), mode="nearest")
    np.testing.assert_allclose(filtered(voxels, (2, 5, 3), threads=3), reference, atol=1e-3)


@pytest.mark.parametrize("planes", [77, 80])
@pytest.mark.parametrize("mode", get_args(EdgeMode))
def test_a_plane_is_summed_once_however_often_it_stands_beyond_the_edge(mode, planes, monkeypatch):
    summed = []

    class Counting(BandedPasses):
        def along_rows(self, lines, weights, sums):
            summed.append(len(lines))
            super().along_rows(lines, weights, sums)

    monkeypatch.setattr(gaussian, "_passes", lambda voxels: Counting())
    filtered(some_voxels((planes, 16, 16)), (3, 1, 1), mode=mode)
    # the last planes come before the first, and the first after the last
    again = 24 if plain_mode(mode) == "wrap" else 0
    assert sum(summed) == planes + again


def test_a_single_plane_row_or_column_is_all_there_is_for_any_edge_but_a_constant(way):
    voxels = some_voxels((1, 40, 33))
    for mode in set(get_args(EdgeMode)) - {"constant", "grid-constant"}:
        np.testing.assert_array_equal(filtered(voxels, (3, 2, 1), mode=mode), filtered(voxels, (0, 2, 1), mode=mode))


def test_strips_and_threads_change_no_bit(way, monkeypatch):
    voxels = some_voxels((21, 100, 75), np.float32)
    whole = filtered(voxels, (2, 5, 3), threads=1)
    monkeypatch.setattr(separable, "_ROWS_OF_A_STRIP", 16)
    np.testing.assert_array_equal(filtered(voxels, (2, 5, 3), threads=3), whole)


@pytest.mark.parametrize("installed", [True, False], ids=["with llvmlite", "without"])
def test_what_is_not_finite_reaches_as_far_as_in_scipy(installed, monkeypatch):
    if not installed:
        monkeypatch.setattr(gaussian, "compiled_passes", lambda: None)
    voxels = some_voxels((30, 40, 50), np.float32)
    voxels[15, 20, 25] = np.nan
    voxels[0, 0, 0] = np.inf
    reference = ndimage.gaussian_filter(voxels, (1, 2, 1.5), mode="nearest")
    np.testing.assert_array_equal(np.isfinite(filtered(voxels, (1, 2, 1.5))), np.isfinite(reference))


def test_without_llvmlite_numpy_makes_the_sums_of_finite_values(monkeypatch):
    monkeypatch.setattr(gaussian, "compiled_passes", lambda: None)
    assert isinstance(gaussian._passes(some_voxels((2, 2, 2))), BandedPasses)


def test_weights_are_scipys_and_sum_to_1():
    impulse = np.zeros(41)
    impulse[20] = 1
    np.testing.assert_allclose(
        np.pad(gaussian_weights(3.3, 4.0), 7), ndimage.gaussian_filter1d(impulse, 3.3), atol=1e-8
    )


def test_progress_grows_and_what_a_report_raises_ends_the_work(way):
    told = []
    filtered(some_voxels((5, 200, 20)), (1, 1, 1), report=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert len(told) > 3

    def cancel(fraction, message):
        if fraction > 0:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        filtered(some_voxels((5, 200, 20)), (1, 1, 1), report=cancel)


def test_a_strip_that_is_at_work_stops_when_the_work_is_ended(monkeypatch):
    steps = []

    class Slow(BandedPasses):
        def along_planes(self, lines, weights, sums):
            steps.append(1)
            if sums.shape[1] == 16:  # the first of two strips; the other has 8 rows
                time.sleep(0.02)

    def cancel(fraction, message):
        if fraction > 0:
            raise JobCancelled("enough")

    monkeypatch.setattr(gaussian, "_passes", lambda voxels: Slow())
    with pytest.raises(JobCancelled):
        filtered(some_voxels((16 * 200, 24, 16)), (1, 0, 0), report=cancel)
    assert len(steps) < 400


@pytest.mark.parametrize("sigma_kji", [(1.5, 2, 3), (0, 0, 0), (30, 2, 1)], ids=str)
def test_rounded_sums_are_those_of_float32_half_to_even(way, sigma_kji):
    voxels = some_voxels((21, 90, 75)) * 2 - 250
    sums = filtered(voxels, sigma_kji)
    rounded = filtered(voxels, sigma_kji, result=np.full(voxels.shape, 7, np.int16))
    np.testing.assert_array_equal(rounded, np.rint(sums))


def test_sums_of_two_equal_weights_are_rounded_to_even(way, monkeypatch):
    monkeypatch.setattr(gaussian, "gaussian_weights", lambda *_: np.float32([0.5, 0, 0.5]))
    voxels = np.zeros((1, 1, 40), np.int16)
    voxels[..., ::4] = np.arange(-5, 15, 2)
    result = filtered(voxels, (0, 0, 1), truncate=1, result=np.empty(voxels.shape, np.int16))
    assert set(result.ravel().tolist()) == {-2, 0, 2, 4, 6}


@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1])
def test_rounded_sums_stay_in_the_range_of_the_source_at_its_ends(way, value):
    voxels = np.full((9, 40, 33), value, np.int16)
    result = filtered(voxels, (2.3, 7.1, 5.7), result=np.empty(voxels.shape, np.int16))
    assert (result == value).all()


def test_a_result_is_written_into_the_memory_that_is_given(way):
    voxels = some_voxels((21, 40, 75))
    memory = np.full(voxels.shape, np.float32(-1))
    assert filtered(voxels, (1, 2, 3), result=memory) is memory
    np.testing.assert_array_equal(memory, filtered(voxels, (1, 2, 3)))


def test_memory_that_cannot_take_the_result_is_refused():
    voxels = some_voxels((5, 6, 7), np.uint16)
    with pytest.raises(ValueError, match="uint16 may be too large for int16"):
        filtered(voxels, (1, 1, 1), result=np.empty(voxels.shape, np.int16))
    with pytest.raises(ValueError, match="sums of 32768, which lies beyond the edge, may be too large"):
        filtered(voxels.astype(np.int16), (1, 1, 1), mode="constant", cval=2**15, result=np.empty((5, 6, 7), np.int16))
    floats = voxels.astype(np.float32)
    for memory, why in (
        (np.empty((5, 6, 8), np.float32), r"shape \(5, 6, 7\), not float32 of \(5, 6, 8\)"),
        (np.empty((7, 6, 5), np.float32).T, "C-contiguous"),
        (np.empty((5, 6, 7), np.float64), "not float64"),
        (floats, "shares memory"),
    ):
        with pytest.raises(ValueError, match=why):
            filtered(floats, (1, 1, 1), result=memory)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 90), st.integers(12, 90), st.integers(12, 50)),
    sigma_kji=st.tuples(st.floats(0, 12), st.floats(0, 2.5), st.floats(0, 2.5)),
    mode=st.sampled_from(["nearest", "reflect", "mirror"]),
    dtype=st.sampled_from([np.int16, np.uint16, np.float32]),
    thickness=st.integers(1, 40),
    threads=st.integers(1, 3),
    rounded=st.booleans(),
)
def test_machine_code_makes_the_same_bits_of_slabs_of_any_thickness(
    shape, sigma_kji, mode, dtype, thickness, threads, rounded
):
    sigma_kji = (min(sigma_kji[0], (shape[0] - 1) / 4.2), *sigma_kji[1:])
    voxels = some_voxels(shape, dtype)
    into = np.int16 if rounded and dtype == np.int16 else np.float32
    whole = filtered(voxels, sigma_kji, mode=mode, threads=threads, result=np.empty(shape, into))
    slabs = filtered_in_slabs(voxels, sigma_kji, thickness, mode=mode, threads=threads, dtype=into)
    np.testing.assert_array_equal(slabs, whole)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize("sigma_k", [0, 1.5, 5, 12])
@pytest.mark.parametrize("thickness", [16, 32])
def test_numpy_makes_the_same_bits_of_slabs_of_whole_blocks(monkeypatch, thickness, sigma_k, mode, dtype):
    monkeypatch.setattr(gaussian, "compiled_passes", lambda: None)
    voxels = some_voxels((75, 40, 37), dtype)
    whole = filtered(voxels, (sigma_k, 2, 1), mode=mode)
    np.testing.assert_array_equal(filtered_in_slabs(voxels, (sigma_k, 2, 1), thickness, mode=mode), whole)


@pytest.mark.parametrize(
    ("mode", "sigma_kji"), [("wrap", (1, 1, 1)), ("nearest", (12, 1, 1)), ("nearest", (1, 1, 12))], ids=str
)
def test_there_are_no_slabs_of_what_is_needed_whole(mode, sigma_kji):
    assert gaussian_in_slabs((40, 40, 40), sigma_kji, truncate=4.0, mode=mode, threads=1) is None
