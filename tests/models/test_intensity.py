from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from dlp_lab import large_arrays
from dlp_lab.large_arrays import arrays_in_files
from dlp_lab.models import intensity
from dlp_lab.models.description import PercentileScale, ZScore
from dlp_lab.models.intensity import _standard_deviation, apply_steps


def values(shape: tuple[int, int, int] = (17, 23, 29)) -> np.ndarray:
    made = np.random.default_rng(0).normal(300, 500, shape)
    made[::3, ::2] = 0
    return made.astype(np.float32)


@pytest.fixture(params=[False, True], ids=["in memory", "in files"])
def somewhere(request, tmp_path, monkeypatch):
    """In memory or in files, and in pieces of which the values have many."""
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    monkeypatch.setattr(intensity, "_SUMMED_AT_ONCE", 500)
    with arrays_in_files(tmp_path if request.param else None):
        yield


@pytest.mark.parametrize("nonzero", [False, True])
def test_a_z_score_is_by_numpys_mean_and_deviation(somewhere, nonzero):
    original = values()
    chosen = original[original != 0] if nonzero else original
    mean, std = chosen.mean(dtype=np.float64), chosen.std(dtype=np.float64)
    expected = (original - np.float32(mean)) / np.float32(std)
    if nonzero:
        expected[original == 0] = 0
    np.testing.assert_array_equal(apply_steps(original.copy(), [ZScore(nonzero=nonzero)], "MR"), expected)


def test_the_standard_deviation_is_numpys_to_the_last_bit(somewhere):
    for size in (1, 499, 500, 501, 8191, 30_011):
        some = np.random.default_rng(size).normal(300, 500, size).astype(np.float32)
        assert _standard_deviation(some) == some.std(dtype=np.float64)


@pytest.mark.parametrize("of", ["all", "positive"])
@pytest.mark.parametrize("ends", [(1.0, 99.5), (None, 98.0), (2.0, None), (None, None)])
def test_percentiles_are_numpys_and_the_values_stay_in_their_order(somewhere, of, ends):
    original = values()
    chosen = original[original > 0] if of == "positive" else original
    low = float(chosen.min() if ends[0] is None else np.percentile(chosen, ends[0]))
    high = float(chosen.max() if ends[1] is None else np.percentile(chosen, ends[1]))
    step = PercentileScale(of=of, low=ends[0], high=ends[1], to_low=0.0, to_high=1.0, epsilon=0.0, clip=False)
    expected = (original - np.float32(low)) * np.float32(1 / (high - low))
    np.testing.assert_array_equal(apply_steps(original.copy(), [step], "MR"), expected)


@pytest.mark.parametrize(
    "step",
    [ZScore(), ZScore(nonzero=True), PercentileScale(low=1.0, high=99.0), PercentileScale(of="positive", low=1.0)],
)
def test_steps_take_no_memory_of_a_volume_where_volumes_lie_in_files(tmp_path, monkeypatch, step):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    monkeypatch.setattr(intensity, "_SUMMED_AT_ONCE", 2**12)
    own = values((60, 70, 80))
    with arrays_in_files(tmp_path):
        tracemalloc.start()
        apply_steps(own, [step], "MR")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 0.5 * own.size
