"""Every way to make weighted sums keeps the contract of `Passes`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dlp_lab.kernels import compiled
from dlp_lab.kernels.compiled import FORBIDDEN_VARIABLE, CompiledPasses
from dlp_lab.kernels.passes import BandedPasses, PlainPasses

TAPS = (1, 3, 5, 7, 13, 19, 101)


@pytest.fixture(params=[BandedPasses, CompiledPasses, PlainPasses], scope="module")
def passes(request):
    return request.param()


def lines_and_weights(shape, taps):
    generator = np.random.default_rng(taps)
    return generator.normal(40, 500, shape).astype(np.float32), generator.random(taps).astype(np.float32) / taps


def expected(lines, weights, axis):
    return np.apply_along_axis(np.correlate, axis, lines.astype(np.float64), weights.astype(np.float64), "valid")


@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_rows(passes, taps):
    lines, weights = lines_and_weights((3, 32 + taps - 1, 70), taps)
    before, sums = lines.copy(), np.empty((3, 32, 70), np.float32)
    passes.along_rows(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 1), atol=2e-3)
    np.testing.assert_array_equal(lines, before)


@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_columns(passes, taps):
    lines, weights = lines_and_weights((3, 21, 80 + taps - 1), taps)
    before, sums = lines.copy(), np.empty((3, 21, 80), np.float32)
    passes.along_columns(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 2), atol=2e-3)
    np.testing.assert_array_equal(lines, before)


@pytest.mark.parametrize("planes", [1, 2, 3, 16, 21])
@pytest.mark.parametrize("taps", TAPS)
def test_sums_along_planes_of_any_number(passes, taps, planes):
    lines, weights = lines_and_weights((planes + taps - 1, 5, 70), taps)
    sums = np.empty((planes, 5, 70), np.float32)
    passes.along_planes(lines, weights, sums)
    np.testing.assert_allclose(sums, expected(lines, weights, 0), atol=2e-3)


def test_sums_are_written_into_a_part_of_an_array_and_nowhere_else(passes):
    lines, weights = lines_and_weights((2, 16 + 6, 40), 7)
    whole = np.full((2, 20, 50), np.float32(-1))
    passes.along_rows(lines[..., 3:35], weights, whole[:, 2:18, 5:37])
    np.testing.assert_allclose(whole[:, 2:18, 5:37], expected(lines[..., 3:35], weights, 1), atol=2e-3)
    whole[:, 2:18, 5:37] = -1
    assert (whole == -1).all()


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
