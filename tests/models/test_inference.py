from __future__ import annotations

import hashlib
import itertools
import json
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest

from dlp_lab import large_arrays
from dlp_lab.errors import InputUnsuitable, JobCancelled, ModelRefused
from dlp_lab.geometry import Geometry, Reorientation
from dlp_lab.large_arrays import arrays_in_files
from dlp_lab.models.description import Windows
from dlp_lab.models.inference import segment
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import read_package
from dlp_lab.models.windows import WindowAxis, rows_at_once
from dlp_lab.models.winners import WinnerChoice, mixed_cells
from dlp_lab.processors import shared_processors
from dlp_lab.volume import Volume
from tests.models.networks import description, label, neighbourhood_network, threshold_network, write_package
from tests.phantom import ORIENTATIONS, value_at

THRESHOLDS = (-90.0, -60.0)
CENTRED = {"kind": "centred", "spacing_mm": [1.0, 0.9, 1.1], "size": [28, 30, 32]}
SMALL = Memory(network_bytes=2**16, blended_bytes=2**14)


def network(folder: Path, made: onnx.ModelProto, labels: int, **changes: object) -> Network:
    return load(read_package(write_package(folder, made, description(labels, **changes))))


def phantom(orientation: str, shape=(9, 14, 17), spacing=(2.5, 0.8, 1.1)) -> Volume:
    """The phantom's exact values, not rounded."""
    row, column = np.reshape(ORIENTATIONS[orientation], (2, 3))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * spacing
    affine[:3, 3] = (-61.5, 38.25, -40.125)
    geometry = Geometry(shape, affine)
    return Volume(value_at(geometry.positions_lps_mm(np.moveaxis(np.indices(shape), 0, -1))), geometry, modality="CT")


def thresholds_within(volume: Volume) -> tuple[float, float]:
    low, high = np.percentile(volume.voxels, (35, 70))
    return float(low) + 0.123, float(high) + 0.123


def expected(volume: Volume, thresholds: tuple[float, float]) -> np.ndarray:
    return np.digitize(volume.voxels, thresholds).astype(np.uint8)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("letters", ["LIA", "RAS", "PSR", None])
def test_labels_lie_where_they_were_found_whatever_the_axes(tmp_path, orientation, letters):
    volume = phantom(orientation)
    thresholds = thresholds_within(volume)
    found = segment(network(tmp_path, threshold_network(*thresholds), 2, orientation=letters), volume)
    np.testing.assert_array_equal(found.voxels, expected(volume, thresholds))
    assert found.geometry is volume.geometry


@pytest.mark.parametrize("letters", ["LIA", "RAS", "PSR"])
@pytest.mark.parametrize("orientation", ["oblique", "oblique-sagittal", "axial-rows-up"])
@pytest.mark.parametrize(
    ("grid", "margin"),
    [
        # half a voxel of the network at the edge repeats the outermost value, which a linear field does not
        ({"kind": "spacing", "spacing_mm": [0.7, 1.3, 0.9]}, 2),
        ({"kind": "centred", "spacing_mm": [1.0, 0.9, 1.1], "size": [48, 44, 46]}, 2),
    ],
)
def test_a_linear_field_survives_the_way_to_another_grid_and_back(tmp_path, letters, orientation, grid, margin):
    volume = phantom(orientation)
    thresholds = thresholds_within(volume)
    found = segment(network(tmp_path, threshold_network(*thresholds), 2, orientation=letters, grid=grid), volume)
    inner = (slice(margin, -margin),) * 3
    near = np.min([np.abs(volume.voxels - t) for t in thresholds], axis=0) < 1e-3
    wrong = (found.voxels != expected(volume, thresholds)) & ~near
    assert not wrong[inner].any()


def test_the_network_gets_the_axes_it_was_trained_on(tmp_path):
    volume = phantom("oblique-sagittal")
    turn = Reorientation.towards(volume.geometry, "LIA")
    grid = turn.grid(volume.geometry)
    steps = grid.affine_kji_to_lps[:3, :3]
    assert (steps[0, 0] > 0, steps[2, 1] < 0, steps[1, 2] < 0) == (True, True, True)
    index = np.array([2, 3, 4])
    at = turn.view(volume.voxels)[tuple(index)]
    assert at == pytest.approx(float(value_at(grid.positions_lps_mm(index))))


@pytest.mark.parametrize("grid", [{"kind": "native"}, {"kind": "spacing", "spacing_mm": [1.1, 1.7, 0.9]}])
def test_tiles_with_a_halo_give_what_the_whole_volume_gives(tmp_path, grid):
    volume = phantom("oblique", (11, 33, 28))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    whole = segment(network(tmp_path / "whole", neighbourhood_network(), 2, grid=grid), image)
    tiled = network(
        tmp_path / "tiled",
        neighbourhood_network(),
        2,
        grid=grid,
        inference={"kind": "tiles", "halo": [3, 3, 3], "bytes_per_voxel": 100},
    )
    parts: list[str] = []
    found = segment(tiled, image, lambda fraction, message: parts.append(message), memory=SMALL)
    assert len([part for part in parts if part.startswith("running")]) > 8
    np.testing.assert_array_equal(found.voxels, whole.voxels)
    assert len(np.unique(whole.voxels)) == 3


@pytest.mark.parametrize("grid", [{"kind": "native"}, {"kind": "spacing", "spacing_mm": [1.1, 1.7, 0.9]}])
@pytest.mark.parametrize("blend", ["constant", "gaussian"])
def test_blended_windows_give_what_blending_by_the_book_gives(tmp_path, blend, grid):
    volume = phantom("oblique", (11, 33, 28))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    way = {"kind": "windows", "patch": [8, 9, 10], "overlap": 0.4, "blend": blend}
    windowed = network(tmp_path, neighbourhood_network(), 2, grid=grid, inference=way, orientation=None)
    at_once = segment(windowed, image, memory=Memory(2**30))
    in_parts = segment(windowed, image, memory=SMALL)
    np.testing.assert_array_equal(at_once.voxels, in_parts.voxels)
    if grid["kind"] == "native":
        np.testing.assert_array_equal(at_once.voxels, _by_the_book(windowed, image.voxels, blend))


def test_windows_whose_weights_have_a_least_value_are_blended_by_the_book_too(tmp_path):
    volume = phantom("oblique", (23, 33, 28))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    way = {"kind": "windows", "patch": [8, 9, 10], "overlap": 0.4, "least_weight": 0.05}
    windowed = network(tmp_path, neighbourhood_network(), 2, inference=way, orientation=None)
    found = segment(windowed, image, memory=SMALL)
    np.testing.assert_array_equal(found.voxels, _by_the_book(windowed, image.voxels, "gaussian", 0.05))
    assert (found.voxels != _by_the_book(windowed, image.voxels, "gaussian")).any()


@pytest.mark.parametrize("least_weight", [0.0, 0.05])
def test_sums_in_a_file_are_those_of_the_memory_and_run_no_window_twice(tmp_path, monkeypatch, least_weight):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    volume = phantom("oblique", (23, 33, 28))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    way = {"kind": "windows", "patch": [8, 9, 10], "overlap": 0.4, "least_weight": least_weight}
    windowed = network(tmp_path, neighbourhood_network(), 2, inference=way, orientation="RAS")
    in_memory, in_files = [], []
    at_once = segment(windowed, image, lambda fraction, message: in_memory.append(message), memory=Memory(2**30))
    with arrays_in_files(tmp_path):
        found = segment(windowed, image, lambda fraction, message: in_files.append(message), memory=SMALL)
    np.testing.assert_array_equal(found.voxels, at_once.voxels)
    assert in_files == in_memory


def test_sums_in_a_file_take_no_memory_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    volume = phantom("oblique", (40, 96, 96))
    way = {"kind": "windows", "patch": [16, 16, 16], "overlap": 0.5}
    windowed = network(tmp_path, threshold_network(*THRESHOLDS), 2, inference=way, orientation=None)
    most = {}
    for folder in (None, None, tmp_path):  # the first loads what both need
        with arrays_in_files(folder):
            tracemalloc.start()
            segment(windowed, volume)
            most[folder] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    input_and_labels, sums = volume.voxels.size * (4 + 1), 3 * 17 * 96 * 96 * 4
    assert most[tmp_path] < most[None] - input_and_labels - 0.5 * sums


def test_winners_of_a_block_and_the_borders_between_them_lie_in_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)
    scores = np.random.default_rng(0).normal(size=(3, 40, 60, 60)).astype(np.float32)
    choice = WinnerChoice(
        read_package(write_package(tmp_path, threshold_network(0, 1), description(2))).description.output
    )
    expected = mixed_cells(choice.of_block(scores))
    with arrays_in_files(tmp_path):
        tracemalloc.start()
        found = mixed_cells(choice.of_block(scores))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert most < 0.9 * found.size


@pytest.mark.parametrize("grid", [{"kind": "native"}, {"kind": "spacing", "spacing_mm": [1.1, 1.7, 0.9]}, CENTRED])
def test_labels_are_the_same_whatever_the_number_of_threads(tmp_path, grid):
    volume = phantom("oblique", (11, 33, 28))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    way = {"kind": "windows", "patch": [8, 9, 10], "overlap": 0.4}
    found = []
    for threads in (1, 3):
        with shared_processors(threads):
            windowed = network(tmp_path, neighbourhood_network(), 2, grid=grid, inference=way)
            found.append(segment(windowed, image, memory=Memory(2**30)).voxels)
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0])) == 3


@pytest.mark.parametrize("kind", ["softmax", "sigmoid_regions"])
@pytest.mark.parametrize("grid", [{"kind": "spacing", "spacing_mm": [1.1, 1.7, 0.9]}, CENTRED])
def test_probabilities_are_interpolated_where_the_model_says_so(tmp_path, grid, kind):
    volume = phantom("oblique", (11, 33, 28))
    image = volume.with_voxels(3 * np.random.default_rng(1).normal(size=volume.voxels.shape))
    labels = 2 if kind == "softmax" else 3
    results = {}
    for back in ("values", "probabilities"):
        output = {
            "name": "scores",
            "kind": kind,
            "labels": [label(n + 1) for n in range(labels)],
            "back_to_source": back,
        }
        made = network(tmp_path / back, neighbourhood_network(), labels, grid=grid, output=output)
        results[back] = segment(made, image, with_fractions=True)
        np.testing.assert_array_equal(results[back].voxels, segment(made, image).voxels)
    fractions = results["probabilities"].fractions
    assert (results["values"].fractions != fractions).mean() > 0.1
    if kind == "softmax":
        certain = np.stack([255 - fractions.sum(axis=0, dtype=int), *fractions.astype(int)])
        chosen = np.take_along_axis(certain, results["probabilities"].voxels[np.newaxis].astype(int), axis=0)[0]
        covered = fractions.any(axis=0)
        assert (chosen >= certain.max(axis=0) - 2)[covered].all()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid_regions"])
def test_a_network_that_makes_no_numbers_is_refused(tmp_path, kind):
    volume = phantom("oblique")
    made = threshold_network(0.0)
    made.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.full(2, np.nan, np.float32), "b0"))
    labels = [label(1)] if kind == "softmax" else [label(1), label(2)]
    output = {"name": "scores", "kind": kind, "labels": labels}
    with pytest.raises(ModelRefused, match="makes values that are no numbers"):
        segment(network(tmp_path, made, len(labels), output=output), volume)


def test_folds_are_averaged_over_windows(tmp_path):
    volume = phantom("oblique", (11, 23, 18))
    image = volume.with_voxels(np.random.default_rng(1).normal(size=volume.voxels.shape))
    described = description(2, folds=["model.onnx", "other.onnx"], inference={"kind": "windows", "patch": [8, 9, 10]})
    folder = write_package(tmp_path / "both", neighbourhood_network(), described)
    (folder / "other.onnx").write_bytes(neighbourhood_network(seed=1).SerializeToString())
    told = json.loads((folder / "model.json").read_text())
    told["sha256"]["other.onnx"] = hashlib.sha256((folder / "other.onnx").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(told))
    both = load(read_package(folder))
    part = np.ascontiguousarray(image.voxels[np.newaxis, :8, :9, :10], np.float32)
    alone = [
        load(read_package(write_package(tmp_path / str(seed), neighbourhood_network(seed=seed), description(2)))).run(
            part
        )
        for seed in (0, 1)
    ]
    np.testing.assert_allclose(both.run(part), (alone[0] + alone[1]) / 2, atol=1e-6)
    first = both.run(part)
    np.testing.assert_allclose(both.run(part, first), (alone[0] + alone[1]) / 2, atol=1e-6)
    assert segment(both, image).voxels.any()


def _by_the_book(run: Network, voxels: np.ndarray, blend: str, least: float = 0.0) -> np.ndarray:
    """The sums of all windows and of their weights, in whole volumes."""
    patch = (8, 9, 10)
    windows = Windows(patch=patch, overlap=0.4, blend=blend)  # type: ignore[arg-type]
    weight = np.ones(patch)
    if blend == "gaussian":
        for axis, n in enumerate(patch):
            along = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (0.125 * n)) ** 2)
            weight *= np.moveaxis(along[:, None, None], 0, axis)
    weight = np.maximum(weight, least)
    sums, weights = np.zeros((3, *voxels.shape)), np.zeros(voxels.shape)
    axes = [WindowAxis.over(n, size, windows).starts for n, size in zip(voxels.shape, patch, strict=True)]
    for start in itertools.product(*axes):
        box = tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))
        sums[(slice(None), *box)] += run.run(np.ascontiguousarray(voxels[box], np.float32)[np.newaxis]) * weight
        weights[box] += weight
    return (sums / weights).argmax(axis=0).astype(np.uint8)


def test_a_volume_smaller_than_the_window_is_padded_and_comes_back(tmp_path):
    volume = phantom("oblique", (5, 6, 7))
    thresholds = thresholds_within(volume)
    way = {"kind": "windows", "patch": [16, 16, 16]}
    found = segment(network(tmp_path, threshold_network(*thresholds), 2, inference=way), volume)
    np.testing.assert_array_equal(found.voxels, expected(volume, thresholds))


def test_mirroring_changes_nothing_for_a_network_that_looks_at_single_voxels(tmp_path):
    volume = phantom("oblique")
    thresholds = thresholds_within(volume)
    way = {"kind": "windows", "patch": [8, 8, 8], "mirror_axes": [0, 2]}
    found = segment(network(tmp_path, threshold_network(*thresholds), 2, inference=way), volume)
    np.testing.assert_array_equal(found.voxels, expected(volume, thresholds))


def test_what_lies_outside_the_crop_is_background(tmp_path):
    volume = phantom("axial")
    middle = np.zeros(volume.voxels.shape, np.float32)
    middle[3:6, 5:9, 4:12] = 100
    steps = [{"do": "crop", "threshold": 50}, {"do": "resample"}]
    cropped = network(tmp_path, threshold_network(-1), 1, steps=steps)
    found = segment(cropped, volume.with_voxels(middle))
    np.testing.assert_array_equal(found.voxels, (middle > 50).astype(np.uint8))


def test_what_a_network_finds_in_the_padding_around_a_crop_is_not_painted(tmp_path):
    volume = phantom("axial")
    middle = np.zeros(volume.voxels.shape, np.float32)
    middle[3:6, 5:9, 4:12] = 100
    steps = [{"do": "crop", "threshold": 50}, {"do": "resample"}]
    way = {"kind": "windows", "patch": [16, 16, 16]}
    found = segment(network(tmp_path, threshold_network(-1), 1, steps=steps, inference=way), volume.with_voxels(middle))
    np.testing.assert_array_equal(found.voxels, (middle > 50).astype(np.uint8))


def test_steps_are_done_in_their_order(tmp_path):
    volume = phantom("oblique")
    steps = [
        {"do": "clip", "low": -1000, "high": 1000},
        {"do": "zscore", "mean": 10, "std": 2},
        {"do": "resample"},
        {"do": "scale_range", "from_low": 0, "from_high": 4, "to_high": 1},
    ]
    limit = float(np.median(volume.voxels)) + 0.1
    found = segment(network(tmp_path, threshold_network((limit - 10) / 8), 1, steps=steps), volume)
    np.testing.assert_array_equal(found.voxels, (volume.voxels > limit).astype(np.uint8))


def test_regions_are_painted_in_their_order(tmp_path):
    volume = phantom("oblique")
    low, high = thresholds_within(volume)
    made = threshold_network(0.0)
    made.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones((2, 1, 1, 1, 1), np.float32), "w0"))
    made.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.array([-low, -high], np.float32), "b0"))
    output = {"name": "scores", "kind": "sigmoid_regions", "labels": [label(1), label(2)]}
    found = segment(network(tmp_path, made, 2, output=output), volume)
    np.testing.assert_array_equal(found.voxels, expected(volume, (low, high)))


def test_fractions_tell_how_surely(tmp_path):
    volume = phantom("oblique")
    limit = float(np.median(volume.voxels)) + 0.1
    found = segment(network(tmp_path, threshold_network(limit), 1), volume, with_fractions=True)
    assert found.fractions is not None
    sure = 1 / (1 + np.exp(-(volume.voxels - limit)))
    np.testing.assert_allclose(found.fractions[0], sure * 255, atol=0.51)
    np.testing.assert_array_equal(found.voxels, (volume.voxels > limit).astype(np.uint8))


@pytest.mark.parametrize(
    ("changes", "modality", "message"),
    [
        ({}, "MR", "is made for CT; the series is MR"),
        ({}, None, "the series is of no modality"),
        (
            {"constraints": {"spacing_max_mm": 2.0}},
            "CT",
            r"at most 2 mm, and those of the series are 2.5 x 0.8 x 1.1 mm",
        ),
        ({"constraints": {"spacing_min_mm": 1.0}}, "CT", "at least 1 mm"),
        ({"constraints": {"min_extent_mm": [100, 10, 10]}}, "CT", "needs 10 x 10 x 100 mm of the body"),
        ({"grid": {"kind": "spacing", "spacing_mm": [0.001, 0.001, 0.01]}}, "CT", "voxels for this series"),
    ],
)
def test_an_image_that_the_model_was_not_made_for_is_refused(tmp_path, changes, modality, message):
    volume = phantom("axial")
    other = Volume(volume.voxels, volume.geometry, modality=modality)
    with pytest.raises(InputUnsuitable, match=message):
        segment(network(tmp_path, threshold_network(0), 1, **changes), other)


@pytest.mark.parametrize("labels", [1, 3])
def test_a_network_with_another_number_of_channels_than_described_is_refused(tmp_path, labels):
    with pytest.raises(ModelRefused, match=f"makes 3 channels; {labels + 1} are needed"):
        segment(network(tmp_path, threshold_network(0, 1), labels), phantom("axial"))


def test_a_run_is_cancelled_between_two_windows(tmp_path):
    way = {"kind": "windows", "patch": [4, 4, 4]}
    parts: list[str] = []

    def report(fraction: float, message: str) -> None:
        parts.append(message)
        if "part 3 of" in message:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        segment(network(tmp_path, threshold_network(0), 1, inference=way), phantom("axial"), report)
    assert parts[-1].startswith("running the network, part 3 of ")


def test_the_input_stays_untouched(tmp_path):
    volume = phantom("oblique")
    before = volume.voxels.copy()
    steps = [{"do": "clip", "low": 0, "high": 1}, {"do": "resample"}, {"do": "percentile_scale"}]
    segment(network(tmp_path, threshold_network(0), 1, steps=steps), volume)
    np.testing.assert_array_equal(volume.voxels, before)


def test_a_hundred_classes_at_512_take_no_more_than_a_gibibyte_of_sums():
    shape, patch, channels = (512, 512, 512), (96, 96, 96), 101
    rows = rows_at_once(shape, patch, channels, 2**30)
    assert channels * (patch[0] + 1) * (rows + 1) * shape[2] * 4 <= 2**30
    assert rows >= patch[1] // 2
