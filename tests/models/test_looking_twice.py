"""Models that look twice: a locator finds the box, the network sees that box in a fixed number of voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlp_lab.errors import InputUnsuitable, ModelRefused
from dlp_lab.geometry import Geometry
from dlp_lab.models.description import Locator
from dlp_lab.models.inference import segment
from dlp_lab.models.locating import box_of
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import read_package
from dlp_lab.volume import Volume
from tests.models.networks import description, label, sha256_of, threshold_network, write_package

SHAPE = (10, 24, 36)


def looking_twice(folder: Path, **changes: Any) -> Network:
    """A locator that looks for values above 50, and a network that labels those above 100."""
    locator = threshold_network(50.0).SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "locator.onnx").write_bytes(locator)
    network = threshold_network(100.0).SerializeToString()
    described = {
        "orientation": None,
        "locator": {"file": "locator.onnx", "size": [5, 8, 12], "least_share": 0.0, "margin": 0.0},
        "grid": {"kind": "stretched", "size": [9, 10, 11]},
        "steps": [{"do": "resample", "order": 0}],
        "sha256": {"locator.onnx": sha256_of(locator), "model.onnx": sha256_of(network)},
        **changes,
    }
    return load(read_package(write_package(folder, network, description(1, **described))))


def volume_of(voxels: np.ndarray) -> Volume:
    affine = np.array([[0, 0, 0.8, -7], [0, 1.1, 0, 5], [2.5, 0, 0, 11], [0, 0, 0, 1]], float)
    return Volume(voxels, Geometry((SHAPE[0], SHAPE[1], SHAPE[2]), affine), modality="CT")


def test_what_lies_outside_the_located_box_is_background_though_the_network_would_label_it(tmp_path):
    voxels = np.zeros(SHAPE, np.float32)
    voxels[2:8, 6:18, 9:27] = 200
    voxels[9, 1, 34] = 300  # a stray voxel that the coarse look does not see
    found = segment(looking_twice(tmp_path), volume_of(voxels))
    expected = np.zeros(SHAPE, np.uint8)
    expected[2:8, 6:18, 9:27] = 1
    np.testing.assert_array_equal(found.voxels, expected)


def test_the_box_is_that_of_the_largest_structure_widened_by_the_margin():
    scores = np.zeros((2, 10, 10, 10), np.float32)
    scores[1, 2:6, 3:7, 4:8] = 1
    scores[1, 9, 9, 9] = 1
    locator = Locator(file="locator.onnx", size=(10, 10, 10), least_share=0.02, margin=0.25)
    assert box_of(scores, locator, (10, 20, 40)) == (slice(1, 7), slice(4, 16), slice(12, 36))


def test_planes_of_too_small_a_share_do_not_count():
    scores = np.zeros((2, 10, 10, 10), np.float32)
    scores[1, 2:6, 3:7, 4:8] = 1
    scores[1, 6:9, 5, 5] = 1  # 1 % of each of these planes
    locator = Locator(file="locator.onnx", size=(10, 10, 10), least_share=0.02, margin=0.0)
    assert box_of(scores, locator, (10, 10, 10)) == (slice(2, 6), slice(3, 7), slice(4, 8))


def test_an_image_in_which_the_locator_finds_nothing_is_refused(tmp_path):
    with pytest.raises(InputUnsuitable, match="first look finds nothing"):
        segment(looking_twice(tmp_path), volume_of(np.zeros(SHAPE, np.float32)))


def test_the_locator_is_checked_like_any_other_network(tmp_path):
    looking_twice(tmp_path)
    (tmp_path / "locator.onnx").write_bytes(threshold_network(51.0).SerializeToString())
    with pytest.raises(ModelRefused, match=r"locator\.onnx has the SHA-256"):
        read_package(tmp_path)


def test_a_package_that_says_twice_where_to_look_is_refused(tmp_path):
    with pytest.raises(ModelRefused, match="crop and locator both say where to look"):
        looking_twice(tmp_path, steps=[{"do": "crop"}, {"do": "resample"}])


def test_only_the_largest_part_of_a_label_is_kept_and_its_holes_are_filled(tmp_path):
    voxels = np.zeros(SHAPE, np.float32)
    voxels[2:7, 5:15, 8:20] = 200
    voxels[4, 9, 12] = 0  # a hole
    voxels[7, 15, 20] = 200  # shares a corner with the large part
    voxels[0:2, 20:22, 30:32] = 200  # a stray part
    output = {"name": "scores", "kind": "softmax", "labels": [label(1)], "largest_component": True, "fill_holes": True}
    folder = write_package(tmp_path, threshold_network(100.0), description(1, output=output))
    found = segment(load(read_package(folder)), volume_of(voxels))
    expected = np.zeros(SHAPE, np.uint8)
    expected[2:7, 5:15, 8:20] = 1
    expected[7, 15, 20] = 1
    np.testing.assert_array_equal(found.voxels, expected)
