"""What an imported model says of itself. Whether it finds the right thing, the golden models and `make parity` tell."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from dlp_lab.cli import main
from dlp_lab.errors import ModelRefused, OutputExists
from dlp_lab.models.description import Crop, PercentileScale, Resample, ScaleRange, SpacedGrid, Windows, ZScore
from dlp_lab.models.importers.importing import ImportedModel, Wishes, import_model, imported_model
from dlp_lab.models.importers.label_names import described_label
from dlp_lab.models.registry import add_model, model_names, registered_model
from tests.models.refused_packages import GOLDEN, INFERENCE, METADATA, golden_files, write_files


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    return tmp_path / "registry"


def changed(
    tmp_path: Path, golden: str, file: str, change: Callable[[dict[str, Any]], None], **wishes: str
) -> ImportedModel:
    """A golden model as it is imported after a change of one of its files."""
    files = golden_files(golden)
    content = json.loads(files[file])
    change(content)
    files[file] = json.dumps(content).encode()
    return imported_model(write_files(tmp_path / "model", files), Wishes())


def network_of_channels(content: bytes, channels: int) -> bytes:
    """A network whose first convolution has as many channels as asked for, all with the weights of the first."""
    network = onnx.load_from_string(content)
    network.graph.input[0].type.tensor_type.shape.dim[1].dim_value = channels
    first = next(node for node in network.graph.node if node.op_type == "Conv").input[1]
    for weight in network.graph.initializer:
        if weight.name == first:
            values = np.repeat(numpy_helper.to_array(weight), channels, axis=1)
            weight.CopyFrom(numpy_helper.from_array(values, first))
    return network.SerializeToString()


def planned(tmp_path: Path, **changes: Any) -> ImportedModel:
    return changed(
        tmp_path,
        "nnunet-thick-slices",
        "plans.json",
        lambda plans: plans["configurations"]["3d_fullres"].update(changes),
    )


# ---- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("golden", ["monai-foreground", "nnunet-regions"])
def test_a_folder_and_a_zip_of_it_become_the_same_package(tmp_path, golden):
    folder = write_files(tmp_path / "model", golden_files(golden))
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, f"any/{path.relative_to(folder)}")
    from_folder = imported_model(folder, Wishes(name="same", title="Same"))
    assert imported_model(tmp_path / "model.zip", Wishes(name="same", title="Same")) == from_folder


def test_a_name_that_is_taken_is_refused(tmp_path):
    folder = write_files(tmp_path / "model", golden_files("monai-regions"))
    import_model(folder, Wishes(name="parts"))
    with pytest.raises(OutputExists, match="dlp-lab model remove parts"):
        import_model(folder, Wishes(name="parts"))


def test_the_command_line_imports_and_tells_what_to_know(tmp_path, capsys):
    folder = write_files(tmp_path / "model", golden_files("monai-foreground"))
    assert main(["model", "import", str(folder), "--license", "MIT", "--modality", "MR"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "small-parts\n"
    assert "orientation RAS is as the bundle says it" in printed.err
    description = registered_model("small-parts").description
    assert (description.license, description.input.channels[0].modality) == ("MIT", ("MR",))
    assert main(["model", "check", "small-parts"]) == 0
    assert main(["model", "import", str(tmp_path / "absent")]) == 2


def test_the_exporter_that_is_printed_needs_nothing_of_ours(capsys):
    assert main(["model", "exporter", "nnunet"]) == 0
    script = capsys.readouterr().out
    compile(script, "export_nnunet.py", "exec")
    assert "import dlp_lab" not in script
    assert "from dlp_lab" not in script


@pytest.mark.parametrize(
    ("name", "code", "laterality"),
    [
        ("liver", "10200004", None),
        ("kidney_left", "64033007", "left"),
        ("Right Kidney", "64033007", "right"),
        ("urinary_bladder", "89837001", None),
        ("left ventricle", "87878005", None),  # a structure of its own, not a side of another
        ("tumour", "108369006", None),
    ],
)
def test_a_label_gets_the_code_of_its_name(name, code, laterality):
    label = described_label(1, name)
    assert (label.name, label.type.value, label.type.scheme, label.laterality) == (name, code, "SCT", laterality)


def test_a_label_without_a_code_gets_a_private_one_that_is_always_the_same():
    label = described_label(3, "zone 7")
    assert (label.type.scheme, label.type.meaning) == ("99DLPLAB", "zone 7")
    assert label.type == described_label(1, "zone 7").type
    assert label.type != described_label(3, "zone 8").type


# ---- nnU-Net ---------------------------------------------------------------------------------------------------------


def test_what_a_configuration_inherits_is_taken_over(tmp_path):
    description = planned(tmp_path, batch_size=1).description
    assert description.grid == SpacedGrid(spacing_mm=(5.0, 1.3, 1.4))
    assert description.inference == Windows(patch=(4, 16, 16), peak="behind_middle", mirror_axes=(0, 2))
    assert description.orientation == "SAR"


def test_one_of_several_configurations_is_chosen_by_its_name(tmp_path):
    for name in ("nnUNetTrainer__nnUNetPlans__3d_fullres", "nnUNetTrainer__nnUNetPlans__3d_lowres"):
        write_files(tmp_path / "Dataset999" / name, golden_files("nnunet-regions"))
    with pytest.raises(ModelRefused, match="holds the configurations 3d_fullres, 3d_lowres; choose one"):
        imported_model(tmp_path / "Dataset999", Wishes())
    chosen = imported_model(tmp_path / "Dataset999", Wishes(configuration="3d_fullres"))
    assert chosen.description.name == "dataset999-phantom-3d-fullres"
    with pytest.raises(ModelRefused, match="the exported configuration is 3d_fullres, asked for is 3d_lowres"):
        imported_model(tmp_path / "Dataset999", Wishes(configuration="3d_lowres"))


@pytest.mark.parametrize(
    ("scheme", "step"),
    [
        ("RescaleTo01Normalization", (PercentileScale(),)),
        ("RGBTo01Normalization", (ScaleRange(from_low=0, from_high=255),)),
        ("NoNormalization", ()),
        ("ZScoreNormalization", (ZScore(nonzero=True, fill_holes=True),)),
    ],
)
def test_values_are_normalised_between_crop_and_resampling(tmp_path, scheme, step):
    steps = planned(tmp_path, normalization_schemes=[scheme], use_mask_for_norm=[True]).description.steps
    assert steps == (Crop(of="nonzero"), *step, Resample(order=3, method="resize", coarse_ratio=3.0))


@pytest.mark.parametrize(("forced", "ratio"), [(False, None), (None, 3.0), (True, pytest.approx(1, abs=1e-3))])
def test_thick_slices_are_resampled_by_themselves_as_the_plans_say(tmp_path, forced, ratio):
    arguments = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": forced}
    description = planned(tmp_path, resampling_fn_data_kwargs=arguments).description
    (resample,) = (step for step in description.steps if isinstance(step, Resample))
    assert (resample.order, resample.coarse_ratio) == (1, ratio)


def test_axes_without_an_orientation_keep_the_order_that_the_plans_say(tmp_path):
    (tmp_path / "a").mkdir()
    native = imported_model(write_files(tmp_path / "a", golden_files("nnunet-regions")), Wishes())
    assert (native.description.orientation, native.description.axis_order) == (None, (1, 0, 2))
    assert any("--orientation" in note for note in native.notes)
    turned = imported_model(tmp_path / "a", Wishes(orientation="SPL"))
    assert (turned.description.orientation, turned.description.axis_order) == ("PSL", (0, 1, 2))


def test_regions_paint_the_numbers_that_the_data_set_says(tmp_path):
    output = imported_model(write_files(tmp_path / "a", golden_files("nnunet-regions")), Wishes()).description.output
    assert output.kind == "sigmoid_regions"
    assert output.regions_order == (2, 1, 3)
    assert [(label.number, label.name) for label in output.labels] == [
        (1, "core"),
        (2, "whole tumor"),
        (3, "enhancing"),
    ]


def test_the_label_to_ignore_is_no_channel(tmp_path):
    imported = changed(
        tmp_path, "nnunet-thick-slices", "dataset.json", lambda dataset: dataset["labels"].update(ignore=4)
    )
    assert [label.number for label in imported.description.output.labels] == [1, 2, 3]


def test_channels_are_normalised_each_its_own_way(tmp_path):
    files = golden_files("nnunet-thick-slices")
    plans, dataset = json.loads(files["plans.json"]), json.loads(files["dataset.json"])
    plans["configurations"]["3d_fullres"].update(
        normalization_schemes=["CTNormalization", "ZScoreNormalization"], use_mask_for_norm=[True, True]
    )
    dataset["channel_names"] = {"0": "CT", "1": "PET"}
    files |= {"plans.json": json.dumps(plans).encode(), "dataset.json": json.dumps(dataset).encode()}
    files["model_fold0.onnx"] = network_of_channels(files["model_fold0.onnx"], 2)
    description = imported_model(write_files(tmp_path / "model", files), Wishes()).description
    assert [channel.modality for channel in description.input.channels] == [("CT",), ("PT",)]
    clip, of_ct, of_pet = description.steps[1:4]
    assert (clip.only_channels, of_ct.only_channels, of_pet.only_channels) == (("CT",), ("CT",), ("PET",))
    assert (of_ct.fill_holes, of_pet.fill_holes) == (False, True)


# ---- MONAI -----------------------------------------------------------------------------------------------------------


def test_a_bundle_becomes_the_steps_in_its_own_order(tmp_path):
    folder = write_files(tmp_path / "a", golden_files("monai-foreground"))
    description = imported_model(folder, Wishes()).description
    assert [type(step) for step in description.steps] == [Resample, ScaleRange, Crop]
    assert description.grid == SpacedGrid(spacing_mm=(1.5, 1.7, 2.1), align="monai")
    assert description.output.back_to_source == "probabilities"
    assert description.inference == Windows(
        patch=(12, 12, 12), overlap=0.5, spread="fixed", blend="gaussian", least_weight=1e-3
    )
    assert (description.version, description.citation, description.orientation) == ("0.1.2", "nobody, nowhere", "RAS")


def test_what_an_inferer_does_not_say_is_as_in_monai(tmp_path):
    imported = changed(
        tmp_path,
        "monai-foreground",
        INFERENCE,
        lambda config: config.update(inferer={"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": 12}),
    )
    assert imported.description.inference == Windows(patch=(12, 12, 12), overlap=0.25, spread="fixed", blend="constant")


def test_a_bundle_in_yaml_is_read_as_one_in_json(tmp_path):
    import yaml

    files = golden_files("monai-nearest")
    in_json = imported_model(write_files(tmp_path / "json", files), Wishes(name="same"))
    files["configs/inference.yaml"] = yaml.safe_dump(json.loads(files.pop(INFERENCE))).encode()
    assert imported_model(write_files(tmp_path / "yaml", files), Wishes(name="same")) == in_json


def test_a_disabled_transform_is_left_out(tmp_path):
    def disable(config: dict[str, Any]) -> None:
        config["preprocessing"]["transforms"].insert(3, {"_target_": "Lambdad", "_disabled_": True})

    assert len(changed(tmp_path, "monai-foreground", INFERENCE, disable).description.steps) == 3


def test_text_is_no_number_and_false_in_quotes_is_no_answer(tmp_path):
    def quoted(value: str) -> Callable[[dict[str, Any]], None]:
        return lambda config: config["preprocessing"]["transforms"][4].update(clip=value)

    imported = changed(tmp_path, "monai-foreground", INFERENCE, quoted("True"))
    assert any(isinstance(step, ScaleRange) and step.clip for step in imported.description.steps)
    with pytest.raises(ModelRefused, match=r"\(ScaleIntensityRanged\) needs true or false as clip; got 'False'"):
        changed(tmp_path, "monai-foreground", INFERENCE, quoted("False"))


def test_python_where_nothing_is_looked_at_is_not_looked_at(tmp_path):
    def elsewhere(config: dict[str, Any]) -> None:
        config["handlers"] = "$__import__('os').system('id')"
        config["preprocessing"]["transforms"][0]["device"] = "$torch.device('cuda')"

    assert changed(tmp_path, "monai-foreground", INFERENCE, elsewhere).description.steps


def test_a_network_of_one_size_is_not_taken_for_whole_images(tmp_path):
    def change(config: dict[str, Any]) -> None:
        config["inferer"] = {"_target_": "SimpleInferer"}

    with pytest.raises(ModelRefused, match=r"models/model.onnx takes \(12, 12, 12\) voxels alone; export it once"):
        changed(tmp_path, "monai-foreground", INFERENCE, change)


def test_labels_have_the_names_of_the_bundle(tmp_path):
    imported = changed(
        tmp_path,
        "monai-regions",
        METADATA,
        lambda metadata: metadata["network_data_format"]["outputs"]["pred"].update(
            channel_def={"0": "liver", "1": "x"}
        ),
    )
    output = imported.description.output
    assert [(label.number, label.name) for label in output.labels] == [(1, "liver"), (2, "x")]
    assert "no code is known for x; private ones are written into segmentations" in imported.notes


@pytest.mark.parametrize(
    "text",
    [
        *("a: !!timestamp abc", 'a: !!int ""', "a: !!bool x", "a: !!float ''", "? {}\n: 1", "<<: 1", "a: *b"),
        *("a: !!python/object/apply:os.system [id]", "a: &a [*a]", "a: \x00", "a: " + "9" * 10_000, "[" * 20_000),
    ],
)
def test_a_configuration_that_says_nothing_is_refused(tmp_path, text):
    files = golden_files("monai-foreground")
    del files[INFERENCE]
    files[INFERENCE.replace(".json", ".yaml")] = text.encode()
    with pytest.raises(ModelRefused):
        imported_model(write_files(tmp_path / "model", files), Wishes())


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 10**400, True, "96"])
def test_what_is_no_finite_number_is_no_size(tmp_path, size):
    with pytest.raises(ModelRefused, match="roi_size"):
        changed(tmp_path, "monai-foreground", INFERENCE, lambda config: config["inferer"].update(roi_size=[size] * 3))


def test_a_name_of_half_a_letter_is_refused(tmp_path):
    files = golden_files("monai-foreground")
    files[METADATA] = files[METADATA].replace(b'"background"', b'"\\ud800"')
    assert rb"\ud800" in files[METADATA]
    with pytest.raises(ModelRefused, match=r"metadata\.json cannot be read"):
        imported_model(write_files(tmp_path / "model", files), Wishes())


def test_a_folder_that_is_a_link_is_not_followed(tmp_path):
    folder = write_files(tmp_path / "model", golden_files("monai-foreground"))
    (folder / "configs").rename(tmp_path / "elsewhere")
    (folder / "configs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelRefused, match="a link in its place"):
        imported_model(folder, Wishes())


@pytest.mark.parametrize("take", [add_model, lambda path: imported_model(path, Wishes())], ids=["add", "import"])
def test_a_zip_that_is_damaged_anywhere_is_refused_or_read_without_another_error(tmp_path, take):
    whole = (GOLDEN / "nnunet-regions.zip").read_bytes()
    with zipfile.ZipFile(GOLDEN / "nnunet-regions.zip") as archive:
        directory = archive.start_dir
    random = np.random.default_rng(7)
    refused = 0
    for number in range(90):
        damaged = bytearray(whole)
        if number % 3 == 0:
            del damaged[random.integers(len(damaged)) :]
        else:
            first, last = ((0, 400), (directory, len(damaged)))[number % 3 - 1]
            damaged[random.integers(first, last)] = random.integers(256)
        (tmp_path / "damaged.zip").write_bytes(damaged)
        try:
            take(tmp_path / "damaged.zip")
        except ModelRefused:
            refused += 1
    assert refused > 30


def test_nothing_is_registered_by_reading(tmp_path):
    imported_model(write_files(tmp_path / "a", golden_files("monai-regions")), Wishes())
    assert model_names() == []
