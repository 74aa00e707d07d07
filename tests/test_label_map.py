from __future__ import annotations

import numpy as np
import pytest

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Code, Label, LabelMap

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
LABELS = tuple(Label(number, f"part {number}", ANATOMY, ANATOMY) for number in (2, 5, 300))
GEOMETRY = Geometry((4, 5, 6), np.diag([2.5, 0.8, 0.5, 1.0]))


def some_labels() -> np.ndarray:
    return np.random.default_rng(0).choice(np.array([0, 2, 5], np.uint16), GEOMETRY.shape)


def test_voxels_are_counted_by_slice_and_label():
    voxels = some_labels()
    label_map = LabelMap(voxels, GEOMETRY, LABELS)
    expected = np.stack([(voxels == label.number).sum(axis=(1, 2)) for label in LABELS], axis=1)
    np.testing.assert_array_equal(label_map.slice_counts, expected)
    assert label_map.voxel_counts == tuple(expected.sum(axis=0))
    assert label_map.voxel_counts[2] == 0


@pytest.mark.parametrize("number", [1, 299, 301, 65535])
def test_labels_of_which_nothing_is_known_are_refused(number):
    voxels = some_labels()
    voxels[-1, 0, 0] = number
    with pytest.raises(VolumeError, match=rf"labels \[{number}\]"):
        LabelMap(voxels, GEOMETRY, LABELS)
