from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from dlp_lab import large_arrays
from dlp_lab.large_arrays import arrays_in_files
from dlp_lab.models.cleaning import clean
from dlp_lab.models.description import Output
from tests.models.networks import description


def output(**asked: bool) -> Output:
    told = description(2)["output"]
    return Output(name=told["name"], kind=told["kind"], labels=[], **asked)


def scattered(shape: tuple[int, int, int], share: float, seed: int = 0) -> np.ndarray:
    """Voxels of labels 1 and 2, each of them `share` of all."""
    return np.random.default_rng(seed).choice(np.arange(3, dtype=np.uint8), shape, p=[1 - 2 * share, share, share])


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_holes_are_those_that_scipy_fills_also_in_files(tmp_path, monkeypatch, seed, in_file):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    labels = scattered((13, 17, 19), 0.4, seed)
    expected = labels.copy()
    for number in (1, 2):
        expected[ndimage.binary_fill_holes(expected == number) & (expected == 0)] = number
    assert (expected != labels).any()
    with arrays_in_files(tmp_path if in_file else None):
        clean(labels, output(fill_holes=True))
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("counted_at_once", [1, 2**22])
def test_of_each_label_the_part_of_most_voxels_is_kept(monkeypatch, counted_at_once):
    monkeypatch.setattr("dlp_lab.models.cleaning._COUNTED_AT_ONCE", counted_at_once)
    labels = scattered((13, 17, 19), 0.05)
    expected = np.zeros_like(labels)
    for number in (1, 2):
        parts, count = ndimage.label(labels == number, np.ones((3, 3, 3)))
        assert count > 2
        largest = max(range(1, count + 1), key=lambda part, parts=parts: (parts == part).sum())
        expected[parts == largest] = number
    clean(labels, output(largest_component=True))
    np.testing.assert_array_equal(labels, expected)


def test_cleaning_takes_no_memory_of_a_volume_where_volumes_lie_in_files(tmp_path, monkeypatch):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    monkeypatch.setattr("dlp_lab.models.cleaning._COUNTED_AT_ONCE", 2**14)
    labels = scattered((60, 80, 80), 0.4)
    with arrays_in_files(tmp_path):
        tracemalloc.start()
        clean(labels, output(largest_component=True, fill_holes=True))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < labels.size
