"""Networks whose result is an image, and networks of several input channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from scipy import ndimage

from dlp_lab.errors import InputUnsuitable, ModelRefused
from dlp_lab.geometry import Geometry
from dlp_lab.models.image_making import make_image, reach_slices
from dlp_lab.models.inference import segment
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import read_package
from dlp_lab.models.selftest import check_model
from dlp_lab.tasks import run
from dlp_lab.volume import Volume
from tests.models.networks import (
    convolutions,
    description,
    identity_network,
    label,
    mean_network,
    sha256_of,
    write_package,
)
from tests.phantom import ORIENTATIONS

SMALL = Memory(network_bytes=2**16, blended_bytes=2**14)
IMAGE = {"name": "scores", "kind": "image"}
TWO = {"name": "image", "channels": [{"name": "T1w", "modality": ["MR"]}, {"name": "FLAIR", "modality": ["MR"]}]}


def network(folder: Path, made: onnx.ModelProto, **changes: Any) -> Network:
    return load(read_package(write_package(folder, made, description(0, **{"output": IMAGE, **changes}))))


def noise(orientation: str = "oblique", shape=(9, 14, 17), modality: str = "CT", seed: int = 0) -> Volume:
    row, column = np.reshape(ORIENTATIONS[orientation], (2, 3))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * (2.5, 0.8, 1.1)
    affine[:3, 3] = (-61.5, 38.25, -40.125)
    values = np.random.default_rng(seed).normal(size=shape) * 100 - 30
    return Volume(values.astype(np.float32), Geometry(shape, affine), "HU", modality)


def smooth(volume: Volume) -> np.ndarray:
    return ndimage.uniform_filter(volume.voxels.astype(np.float64), 3, mode="constant")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_identity_gives_the_image_back_in_any_orientation(tmp_path, orientation):
    volume = noise(orientation)
    made = make_image(network(tmp_path, identity_network()), volume)
    np.testing.assert_array_equal(made.voxels, volume.voxels)
    assert made.geometry.matches(volume.geometry)
    assert (made.unit, made.modality) == ("HU", "CT")


@pytest.mark.parametrize(
    "way",
    [
        {"kind": "whole"},
        {"kind": "tiles", "halo": [1, 1, 1], "bytes_per_voxel": 100},
    ],
)
def test_a_mean_filter_as_a_network_is_scipys_mean_filter(tmp_path, way):
    volume = noise(shape=(11, 33, 28))
    made = make_image(network(tmp_path, mean_network(), inference=way), volume, memory=SMALL)
    np.testing.assert_allclose(made.voxels, smooth(volume), atol=1e-4)


def test_blended_windows_give_scipys_mean_filter_wherever_no_window_ends(tmp_path):
    volume = noise(shape=(8, 33, 28))
    way = {"kind": "windows", "patch": [8, 33, 28]}
    made = make_image(network(tmp_path, mean_network(), inference=way, orientation=None), volume, memory=SMALL)
    np.testing.assert_allclose(made.voxels, smooth(volume), atol=1e-4)


def test_overlapping_windows_of_a_network_of_single_voxels_give_the_image_back(tmp_path):
    volume = noise(shape=(11, 33, 28))
    way = {"kind": "windows", "patch": [8, 9, 10], "overlap": 0.4}
    made = make_image(network(tmp_path, identity_network(), inference=way), volume, memory=SMALL)
    np.testing.assert_allclose(made.voxels, volume.voxels, atol=1e-4)


def test_values_come_back_to_the_scale_of_the_source(tmp_path):
    volume = noise()
    steps = [
        {"do": "zscore"},
        {"do": "resample"},
        {"do": "percentile_scale", "low": 5, "high": 95, "to_low": -1, "to_high": 2},
        {"do": "scale_range", "from_low": 0, "from_high": 4, "to_low": 1, "to_high": 3},
    ]
    scaled = make_image(network(tmp_path / "as-it-is", identity_network(), steps=steps), volume)
    assert np.ptp(scaled.voxels) < 5
    back = network(tmp_path / "back", identity_network(), steps=steps, output={**IMAGE, "undo_scaling": True})
    np.testing.assert_allclose(make_image(back, volume).voxels, volume.voxels, atol=1e-3)


def test_a_ramp_comes_back_from_a_grid_of_other_voxels(tmp_path):
    volume = noise("oblique", (10, 16, 12))
    k, j, i = np.indices(volume.voxels.shape)
    ramp = volume.with_voxels((3 * k - 2 * j + 5 * i).astype(np.float32))
    grid = {"kind": "spacing", "spacing_mm": [0.7, 1.9, 1.3]}
    made = make_image(network(tmp_path, identity_network(), grid=grid), ramp)
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(made.voxels[inner], ramp.voxels[inner], atol=1e-3)


def test_the_package_says_the_unit_where_it_is_another(tmp_path):
    made_in_hu = network(tmp_path, identity_network(), output={**IMAGE, "unit": "HU"}, input=_of("MR"))
    mr = Volume(noise().voxels, noise().geometry, None, "MR")
    assert make_image(made_in_hu, mr).unit == "HU"
    pet = Volume(mr.voxels, mr.geometry, "BQML", "MR")
    with pytest.raises(InputUnsuitable, match="makes values in HU, and those of the series are in BQML"):
        make_image(made_in_hu, pet)


def _of(modality: str) -> dict[str, Any]:
    return {"name": "image", "channels": [{"name": modality, "modality": [modality]}]}


def test_the_reach_is_the_halo_along_the_slices(tmp_path):
    way = {"kind": "tiles", "halo": [5, 7, 9], "bytes_per_voxel": 1}
    tiled = network(tmp_path / "tiles", identity_network(), inference=way).package.description
    assert reach_slices(tiled, noise("axial")) == 7  # LIA: the second axis grows along the body
    assert reach_slices(network(tmp_path / "whole", identity_network()).package.description, noise()) is None


def test_channels_are_seen_together_each_after_its_own_steps(tmp_path):
    first, second = noise(modality="MR"), noise(modality="MR", seed=1)
    steps = [
        {"do": "resample"},
        {"do": "clip", "low": 0, "high": 50, "only_channels": ["FLAIR"]},
        {"do": "scale_range", "from_low": 0, "from_high": 1, "to_high": 2, "only_channels": ["T1w"]},
    ]
    both = network(tmp_path, mean_network(2), input=TWO, steps=steps)
    expected = smooth(first) * 2 + np.clip(second.voxels, 0, 50)
    np.testing.assert_allclose(make_image(both, [first, second]).voxels, expected, atol=1e-3)


@pytest.mark.parametrize(
    "way",
    [
        {"kind": "whole"},
        {"kind": "tiles", "halo": [0, 0, 0], "bytes_per_voxel": 100},
        {"kind": "windows", "patch": [8, 9, 10], "mirror_axes": [0, 2]},
    ],
)
def test_structures_are_found_in_several_channels_in_every_way_of_running(tmp_path, way):
    first, second = noise(shape=(11, 33, 28), modality="MR"), noise(shape=(11, 33, 28), modality="MR", seed=1)
    added = convolutions([np.array([[0, 0], [1, 1]], float).reshape(2, 2, 1, 1, 1)], [np.zeros(2)])
    output = {"name": "scores", "kind": "softmax", "labels": [label(1)]}
    found = segment(network(tmp_path, added, input=TWO, inference=way, output=output), [first, second], memory=SMALL)
    np.testing.assert_array_equal(found.voxels, (first.voxels + second.voxels > 0).astype(np.uint8))


def test_another_number_of_channels_another_grid_or_modality_is_refused(tmp_path):
    both = network(tmp_path, mean_network(2), input=TWO)
    mr, ct = noise(modality="MR"), noise(modality="CT")
    with pytest.raises(InputUnsuitable, match=r"takes 2 series \(T1w, FLAIR\); got 1"):
        make_image(both, mr)
    with pytest.raises(InputUnsuitable, match="is made for MR as FLAIR; the series is CT"):
        make_image(both, [mr, ct])
    with pytest.raises(InputUnsuitable, match="FLAIR does not lie on the grid of the first channel"):
        make_image(both, [mr, noise("axial", modality="MR")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": {**IMAGE, "labels": [label(1)]}}, "an output of kind image has no labels"),
        ({"steps": [{"do": "crop"}, {"do": "resample"}]}, "an image has a value at every voxel of its source"),
        ({"output": {**IMAGE, "undo_scaling": True, "unit": "HU"}}, "leave out unit"),
        ({"output": {"name": "scores", "kind": "softmax"}}, "needs its labels"),
        ({"input": {**TWO, "channels": [{"name": "T1w"}, {"name": "T1w"}]}}, "every input channel needs a name"),
    ],
)
def test_a_package_that_contradicts_itself_is_refused(tmp_path, changes, message):
    with pytest.raises(ModelRefused, match=message):
        network(tmp_path, identity_network(), **changes)


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_the_self_test_of_an_image_compares_values(tmp_path, off):
    volume = noise()
    with open(tmp_path / "selftest.npz", "wb") as file:
        np.savez(
            file,
            image=volume.voxels,
            result=smooth(volume).astype(np.float32) + off,
            affine_kji_to_lps=volume.geometry.affine_kji_to_lps,
        )
    content = mean_network().SerializeToString()
    hashes = {
        "model.onnx": sha256_of(content),
        "selftest.npz": sha256_of((tmp_path / "selftest.npz").read_bytes()),
    }
    described = description(0, output=IMAGE, selftest={"file": "selftest.npz"}, sha256=hashes)
    package = read_package(write_package(tmp_path, content, described))
    if off:
        with pytest.raises(ModelRefused, match=r"a value is off by 0\.5"):
            check_model(package)
    else:
        assert "values are off by" in check_model(package)


def test_a_task_on_several_volumes_runs_without_a_queue(tmp_path, monkeypatch):
    from dlp_lab.models.registry import add_model

    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    add_model(write_package(tmp_path / "package", mean_network(2), description(0, output=IMAGE, input=TWO)))
    first, second = noise(modality="MR"), noise(modality="MR", seed=1)
    made = run("enhance", [first, second])
    np.testing.assert_allclose(made.voxels, smooth(first) + second.voxels, atol=1e-3)
