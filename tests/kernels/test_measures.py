"""Machine code and numpy measure the same."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlp_lab.kernels import measures
from dlp_lab.kernels.compiled import CompiledPasses
from dlp_lab.kernels.measures import measured
from dlp_lab.processors import shared_processors

CODE = CompiledPasses()
VIEWS = {
    "as they are": lambda planes: planes,
    "a part": lambda planes: planes[1:, 2:-1, 1:-1],
    "transposed": lambda planes: planes.T,
    "backwards": lambda planes: planes[::-1, ::-1, ::-1],
}


def some_planes(shape, low=-(2**15), high=2**15):
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.int16)


def assert_right(found, planes):
    wide = planes.astype(np.int64)
    np.testing.assert_array_equal(found.low, planes.min(axis=(1, 2)))
    np.testing.assert_array_equal(found.high, planes.max(axis=(1, 2)))
    np.testing.assert_array_equal(found.sums.of_rows, wide.sum(axis=2))
    np.testing.assert_array_equal(found.sums.of_columns, wide.sum(axis=1))
    assert found.sums.of_rows.dtype == found.sums.of_columns.dtype == np.float64


@pytest.fixture(params=[CODE, None], ids=["machine code", "numpy"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(measures, "passes_made_before", lambda: request.param)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(4, 150), st.integers(3, 150)),
    view=st.sampled_from(list(VIEWS)),
    threads=st.integers(1, 3),
)
@example((3, 5, 6), "as they are", 1)
@example((2, 4, 32), "as they are", 2)
@example((5, 129, 67), "a part", 2)
def test_ends_and_sums_are_those_of_the_values(shape, view, threads):
    planes = VIEWS[view](some_planes(shape))
    before = planes.copy()
    with shared_processors(threads):
        assert_right(measured(planes), planes)
    np.testing.assert_array_equal(planes, before)


@pytest.mark.parametrize("place", [0, 31, 32, 36])
@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1])
def test_a_single_voxel_is_seen_wherever_it_stands(place, value):
    planes = some_planes((2, 3, 37), -9, 9)
    planes[1, 1, place] = value
    assert_right(measured(planes), planes)


@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1])
@pytest.mark.parametrize("shape", [(1, 2**16 - 1, 3), (1, 3, 2**16 - 1), (1, 2**16 + 5, 3), (1, 3, 2**16 + 5)], ids=str)
def test_the_longest_lines_of_the_greatest_values_have_exact_sums(shape, value):
    planes = np.full(shape, value, np.int16)
    assert_right(measured(planes), planes)


def test_measuring_makes_no_machine_code_of_its_own():
    code = (
        "import sys, numpy; from dlp_lab.kernels.measures import measured; "
        "measured(numpy.zeros((1, 2, 3), numpy.int16)); assert 'llvmlite' not in sys.modules; "
        "from dlp_lab.kernels.compiled import compiled_passes, passes_made_before; "
        "assert passes_made_before() is None; assert compiled_passes() is passes_made_before() is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
