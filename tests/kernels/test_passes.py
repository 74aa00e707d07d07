"""Every way to make weighted sums keeps the contract of `Passes`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dlp_lab.kernels import compiled
from dlp_lab.kernels.blocks import BLOCK
from dlp_lab.kernels.compiled import FORBIDDEN_VARIABLE, CompiledPasses
from dlp_lab.kernels.edges import inside
from dlp_lab.kernels.passes import BandedPasses, PlainPasses

TAPS = (1, 3, 5, 7, 13, 19, 101)


@pytest.fixture(params=[BandedPasses, CompiledPasses, PlainPasses], scope="module")
def passes(request):
    return request.param()


def some_weights(taps):
    half = np.random.default_rng(taps).random(taps // 2 + 1).astype(np.float32) / taps
    return np.concatenate([half, half[-2::-1]])


def lines_and_weights(shape, taps):
    return np.random.default_rng(taps).normal(40, 500, shape).astype(np.float32), some_weights(taps)


def expected(lines, weights, axis):
    return np.apply_along_axis(np.correlate, axis, lines.astype(np.float64), weights.astype(np.float64), "valid")


def padded_columns(columns, taps):
    return inside(np.arange(-(taps // 2), columns + taps // 2), columns, "mirror")


def sums_in_planes(passes, voxels, planes, places, columns, weights_j, weights_i, memory=None):
    """The sums, in an array of whole blocks or in `memory`."""
    rows = len(places) - len(weights_j) + 1
    width = -(-(len(columns) - len(weights_i) + 1) // BLOCK) * BLOCK
    sums = np.full((len(planes), rows, width), np.float32(-1)) if memory is None else memory
    passes.in_planes(weights_j, weights_i, columns, rows).sum(voxels, planes, places, sums)
    return sums[..., : len(columns) - len(weights_i) + 1]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.float32, np.int32, np.float64, ">i2", bool])
@pytest.mark.parametrize(("taps_j", "taps_i"), [(1, 1), (7, 13), (101, 3), (3, 41)])
def test_sums_in_planes_of_any_dtype_and_taps(passes, dtype, taps_j, taps_i):
    generator = np.random.default_rng(taps_j)
    voxels = generator.integers(-30000, 30000, (5, 47, 70)).astype(dtype)
    before = voxels.copy()
    planes, places = [4, 0, 1], generator.integers(0, 47, 16 + taps_j - 1)
    columns = padded_columns(70, taps_i)
    weights_j, weights_i = some_weights(taps_j), some_weights(taps_i)
    sums = sums_in_planes(passes, voxels, planes, places, columns, weights_j, weights_i)
    lines = voxels[planes][:, places][:, :, columns]
    reference = expected(expected(lines, weights_j, 1), weights_i, 2)
    np.testing.assert_allclose(sums, reference, rtol=1e-5, atol=2e-6 * np.abs(lines.astype(float)).max())
    np.testing.assert_array_equal(voxels, before)


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-2], np.s_[..., ::-1], np.s_[..., ::2], "T"], ids=str)
def test_sums_in_planes_of_any_view(passes, view):
    voxels = np.random.default_rng(0).integers(-900, 900, (70, 64, 70), np.int16)
    voxels = voxels.T if view == "T" else voxels[view]
    weights, rows = some_weights(5), np.arange(20)
    columns = padded_columns(voxels.shape[2], 5)
    sums = sums_in_planes(passes, voxels, [3], rows, columns, weights, weights)
    reference = expected(expected(voxels[3:4, rows][..., columns], weights, 1), weights, 2)
    np.testing.assert_allclose(sums, reference, rtol=1e-5, atol=2e-3)


def test_sums_in_planes_are_written_into_a_part_of_an_array_and_nowhere_else(passes):
    voxels = np.random.default_rng(0).integers(-900, 900, (3, 22, 32), np.int16)
    weights, columns = some_weights(7), padded_columns(32, 7)
    whole = np.full((4, 20, 50), np.float32(-1))
    sums_in_planes(passes, voxels, [0, 2], np.arange(22), columns, weights, weights, whole[1:3, 2:18, 5:37])
    assert (whole[1:3, 2:18, 5:37] != -1).all()
    whole[1:3, 2:18, 5:37] = -1
    assert (whole == -1).all()


@pytest.mark.parametrize("planes", [1, 2, 3, 16, 21])
@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_planes_of_any_number(passes, taps, planes):
    lines, weights = lines_and_weights((planes + taps - 1, 5, 70), taps)
    sums = np.empty((planes, 5, 70), np.float32)
    passes.along_planes(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 0), atol=2e-3)


@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_planes_in_int16_are_rounded_half_to_even(passes, taps):
    lines, weights = lines_and_weights((7 + taps - 1, 5, 70), taps)
    lines = np.rint(lines) / 2 if taps == 1 else lines
    weights = weights / weights.sum()
    exact, rounded = np.empty((7, 5, 70), np.float32), np.empty((7, 5, 70), np.int16)
    passes.along_planes(lines, weights, exact)
    passes.along_planes(lines, weights, rounded)
    np.testing.assert_array_equal(rounded, np.rint(exact))


def test_a_sum_along_planes_has_the_same_bits_in_a_stack_that_begins_whole_blocks_later(passes):
    lines, weights = lines_and_weights((48 + 20, 6, 70), 21)
    whole = np.empty((48, 6, 70), np.float32)
    passes.along_planes(lines, weights, whole)
    for first, count in ((0, 1), (0, 21), (16, 19), (32, 7), (32, 16)):
        part = np.empty((count, 6, 70), np.float32)
        passes.along_planes(lines[first : first + count + 20], weights, part)
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
