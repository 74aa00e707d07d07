"""Every way to make weighted sums keeps the contract of `Passes`, those by lines that of `LinePasses`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from dlp_lab.kernels import compiled
from dlp_lab.kernels.blocks import whole_blocks
from dlp_lab.kernels.compiled import FORBIDDEN_VARIABLE, CompiledPasses
from dlp_lab.kernels.passes import BandedPasses, PlainPasses
from dlp_lab.kernels.strip_plan import StripPlan, WindowOrder

TAPS = (1, 3, 5, 7, 13, 19, 101)


@pytest.fixture(params=[BandedPasses, CompiledPasses, PlainPasses], scope="module")
def passes(request):
    return request.param()


@pytest.fixture(params=[BandedPasses, PlainPasses], scope="module")
def line_passes(request):
    return request.param()


def some_voxels(shape, dtype=np.int16):
    return np.random.default_rng(sum(shape)).integers(-30000, 30000, shape).astype(dtype)


def some_weights(taps):
    half = np.random.default_rng(taps).random(taps // 2 + 1).astype(np.float32)
    weights = np.concatenate([half, half[-2::-1]])
    return weights / weights.sum()


def convolved(passes, voxels, taps_kji, mode="mirror", result=None, rows=None):
    """The sums of a volume, strip by strip."""
    result = np.full(voxels.shape, np.float32(-1)) if result is None else result
    weights, rows = tuple(some_weights(taps) for taps in taps_kji), rows or whole_blocks(voxels.shape[1])
    plan = StripPlan(weights, mode, voxels.shape, rows, passes.planes_at_once(taps_kji[0] // 2))
    strip, schedule = passes.strip(plan), WindowOrder(plan).take(len(voxels))
    window = strip.windows(1)[0]
    for start in range(0, voxels.shape[1], rows):
        part = slice(start, min(start + rows, voxels.shape[1]))
        for _ in strip.convolve(voxels, result, part, schedule, window):
            pass
    return result


def scipys(voxels, taps_kji, mode="mirror"):
    for axis, taps in enumerate(taps_kji):
        voxels = ndimage.correlate1d(voxels.astype(np.float64), some_weights(taps), axis, mode=mode)
    return voxels


@pytest.mark.parametrize("taps_kji", [(1, 1, 1), (7, 13, 3), (3, 1, 41), (21, 37, 5)], ids=str)
@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.uint16, np.uint8, np.float32, np.int32, np.float64, ">i2", bool], ids=str
)
def test_sums_are_scipys_for_any_dtype_and_taps(passes, dtype, taps_kji):
    voxels = some_voxels((23, 45, 150), dtype)
    before = voxels.copy()
    largest = np.abs(voxels.astype(np.float64)).max()
    np.testing.assert_allclose(
        convolved(passes, voxels, taps_kji), scipys(voxels, taps_kji), rtol=0, atol=2e-6 * largest
    )
    np.testing.assert_array_equal(voxels, before)


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-2], np.s_[..., ::-1], np.s_[..., ::2], np.s_[3:9, 5:, 7:]])
def test_sums_are_scipys_for_any_view(passes, view):
    voxels = some_voxels((20, 40, 70))
    for seen in (voxels[view], voxels[view].T):
        np.testing.assert_allclose(convolved(passes, seen, (5, 3, 7)), scipys(seen, (5, 3, 7)), rtol=0, atol=0.1)


def test_a_strip_is_written_into_its_rows_and_nowhere_else(passes):
    voxels = some_voxels((9, 60, 50))
    weights, whole = tuple(some_weights(taps) for taps in (3, 5, 7)), convolved(passes, voxels, (3, 5, 7))
    plan = StripPlan(weights, "mirror", voxels.shape, 32, passes.planes_at_once(1))
    strip, schedule = passes.strip(plan), WindowOrder(plan).take(len(voxels))
    for dtype in (np.float32, np.int16):
        result = np.full(voxels.shape, -7777, dtype)
        for _ in strip.convolve(voxels, result, slice(16, 37), schedule, strip.windows(1)[0]):
            pass
        np.testing.assert_array_equal(
            result[:, 16:37], np.rint(whole[:, 16:37]) if dtype == np.int16 else whole[:, 16:37]
        )
        result[:, 16:37] = -7777
        assert (result == -7777).all()


@pytest.mark.parametrize("planes", [1, 2, 3, 4, 16, 21])
@pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror", "wrap", "constant"])
def test_sums_in_int16_are_those_in_float32_rounded_half_to_even(passes, planes, mode):
    voxels = some_voxels((planes, 33, 70))
    exact = convolved(passes, voxels, (1 + 2 * (planes // 2), 5, 3), mode)
    rounded = convolved(passes, voxels, (1 + 2 * (planes // 2), 5, 3), mode, np.full(voxels.shape, 9, np.int16))
    np.testing.assert_array_equal(rounded, np.rint(exact))


def test_bits_do_not_depend_on_where_strips_are_cut(passes):
    voxels = some_voxels((21, 90, 70), np.float32)
    whole = convolved(passes, voxels, (9, 21, 7))
    for rows in (16, 48):
        np.testing.assert_array_equal(convolved(passes, voxels, (9, 21, 7), rows=rows), whole)


def test_sums_of_a_stack_that_begins_whole_blocks_later_have_the_same_bits(passes):
    voxels = some_voxels((64, 20, 70), np.float32)
    whole = convolved(passes, voxels, (21, 3, 3))
    for first, last in ((16, 64), (16, 45), (32, 64)):
        part = convolved(passes, voxels[first:last], (21, 3, 3))
        inner = slice(10, None if last == 64 else -10)
        np.testing.assert_array_equal(part[inner], whole[first:last][inner])


def lines_and_weights(shape, taps):
    generator = np.random.default_rng(taps)
    return generator.normal(40, 500, shape).astype(np.float32), generator.random(taps).astype(np.float32) / taps


def expected(lines, weights, axis):
    return np.apply_along_axis(np.correlate, axis, lines.astype(np.float64), weights.astype(np.float64), "valid")


@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_rows(line_passes, taps):
    lines, weights = lines_and_weights((3, 32 + taps - 1, 70), taps)
    before, sums = lines.copy(), np.empty((3, 32, 70), np.float32)
    line_passes.along_rows(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 1), atol=2e-3)
    np.testing.assert_array_equal(lines, before)


@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_columns(line_passes, taps):
    lines, weights = lines_and_weights((3, 32, 80 + taps - 1), taps)
    before, sums = lines.copy(), np.empty((3, 32, 80), np.float32)
    line_passes.along_columns(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 2), atol=2e-3)
    np.testing.assert_array_equal(lines, before)


@pytest.mark.parametrize("planes", [1, 2, 3, 16, 21])
@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_planes_of_any_number(line_passes, taps, planes):
    lines, weights = lines_and_weights((planes + taps - 1, 5, 70), taps)
    sums = np.empty((planes, 5, 70), np.float32)
    line_passes.along_planes(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 0), atol=2e-3)


def test_sums_of_lines_are_written_into_a_part_of_an_array_and_nowhere_else(line_passes):
    lines, weights = lines_and_weights((2, 16 + 6, 40), 7)
    whole = np.full((2, 20, 50), np.float32(-1))
    line_passes.along_rows(lines[..., 3:35], weights, whole[:, 2:18, 5:37])
    np.testing.assert_allclose(whole[:, 2:18, 5:37], expected(lines[..., 3:35], weights, 1), atol=2e-3)
    whole[:, 2:18, 5:37] = -1
    assert (whole == -1).all()


def test_a_sum_along_planes_has_the_same_bits_in_a_stack_that_begins_whole_blocks_later(line_passes):
    lines, weights = lines_and_weights((48 + 20, 6, 70), 21)
    whole = np.empty((48, 6, 70), np.float32)
    line_passes.along_planes(lines, weights, whole)
    for first, count in ((0, 1), (0, 21), (16, 19), (32, 7), (32, 16)):
        part = np.empty((count, 6, 70), np.float32)
        line_passes.along_planes(lines[first : first + count + 20], weights, part)
        np.testing.assert_array_equal(part, whole[first : first + count])


def test_machine_code_is_not_made_where_it_is_forbidden():
    code = (
        "import sys; from dlp_lab.kernels.compiled import compiled_passes; "
        "assert compiled_passes() is None; assert 'llvmlite' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={FORBIDDEN_VARIABLE: "1"})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system is not asked")
def test_where_the_system_forbids_code_there_is_none_and_no_error(monkeypatch):
    def forbidden(*_, prot):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(compiled.mmap, "mmap", forbidden)
    assert compiled.compiled_passes.__wrapped__() is None


def test_without_llvmlite_there_is_no_machine_code_and_no_error():
    code = (
        "import sys; sys.modules['llvmlite'] = None; from dlp_lab.kernels.compiled import compiled_passes; "
        "assert compiled_passes() is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_processor_with_fewer_registers_makes_the_same_bits(monkeypatch):
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    fewer = binding.FeatureMap({name: has and not name.startswith("avx512") for name, has in features.items()})
    voxels = some_voxels((13, 37, 173))
    usual = [convolved(CompiledPasses(), voxels, (9, 5, 21), result=np.empty(voxels.shape, t)) for t in ("f4", "i2")]
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: fewer)
    for result in usual:
        other = convolved(CompiledPasses(), voxels, (9, 5, 21), result=np.empty_like(result))
        np.testing.assert_array_equal(other, result)
