from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dlp_lab.cli import main
from dlp_lab.errors import ModelRefused, NoSuchModel, OutputExists
from dlp_lab.models.network import load
from dlp_lab.models.onnx_guard import refuse_unsafe_network
from dlp_lab.models.package import read_package
from dlp_lab.models.registry import add_model, model_names, models_folder, registered_model, remove_model
from dlp_lab.models.selftest import check_model
from tests.models.networks import description, label, model, neighbourhood_network, threshold_network, write_package
from tests.models.refused_packages import declared_bomb, external_data, made_bomb, other_operators


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    return tmp_path / "registry"


CENTRED = {"kind": "centred", "spacing_mm": [1, 1, 1], "size": [8, 8, 8]}


def package(tmp_path: Path, **changes: object) -> Path:
    return write_package(tmp_path / "package", threshold_network(10), {**description(), **changes})


def test_a_package_is_registered_listed_and_removed(tmp_path):
    added = add_model(package(tmp_path))
    assert added.description.title == "Parts of the phantom"
    assert model_names() == ["phantom-parts"]
    assert registered_model("phantom-parts").sha256 == added.sha256
    with pytest.raises(OutputExists, match="dlp-lab model remove phantom-parts"):
        add_model(package(tmp_path))
    remove_model("phantom-parts")
    assert model_names() == []
    with pytest.raises(NoSuchModel, match="there is none; add one by dlp-lab model add"):
        registered_model("phantom-parts")


def test_a_zip_is_registered_as_its_folder_is(tmp_path):
    folder = package(tmp_path)
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"phantom/{path.name}")
    assert add_model(tmp_path / "package.zip").sha256 == read_package(folder).sha256


@pytest.mark.parametrize("name", ["../model.onnx", "/tmp/model.onnx", "a/../../model.onnx", "a/..", ".hidden"])
def test_a_zip_whose_names_lead_out_of_it_is_refused_and_leaves_nothing(tmp_path, registry, name):
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelRefused):
        add_model(tmp_path / "package.zip")
    assert list(registry.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python": "import os"}, "unknown field `python`"),
        ({"schema": "dlp-lab.model/2"}, "Invalid enum value"),
        ({"name": "../up"}, "does not|regex"),
        ({"sha256": {"model.onnx": "0" * 64}}, "was changed or damaged"),
        ({"sha256": {}}, "gives no SHA-256 for model.onnx"),
        ({"folds": ["../model.onnx"]}, "regex"),
        ({"orientation": "RLA"}, "names a patient axis twice"),
        ({"orientation": None, "grid": CENTRED}, "needs an orientation"),
        ({"steps": [{"do": "clip", "low": 0, "high": 1}]}, "resample exactly once; got it 0 times"),
        ({"steps": [{"do": "eval", "code": "1"}]}, "Invalid value 'eval'"),
        ({"output": {"name": "scores", "kind": "softmax", "labels": [label(2), label(1)]}}, "in growing order"),
    ],
)  # fmt: skip
def test_a_description_that_is_not_what_it_must_be_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ModelRefused, match=message):
        read_package(package(tmp_path, **changes))


def _hidden() -> onnx.ModelProto:
    """A custom operator inside a branch."""
    inner = helper.make_graph(
        [helper.make_node("Evil", [], ["x"], domain="com.example")],
        "branch",
        [],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
    )
    return model([helper.make_node("If", ["image"], ["scores"], then_branch=inner, else_branch=inner)], [], 2)


def _functions() -> onnx.ModelProto:
    made = threshold_network(10)
    made.functions.append(helper.make_function("own", "f", ["x"], ["y"], [], [helper.make_opsetid("", 17)]))
    return made


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (external_data, "external data"),
        (declared_bomb, "declares 32 GiB and holds 8 bytes"),
        (made_bomb, "ConstantOfShape makes more than 2 GiB out of nothing"),
        (other_operators, "operators of the domain 'com.example'"),
        (_hidden, "operators of the domain 'com.example'"),
        (_functions, "functions of its own"),
    ],
)
def test_a_network_that_is_not_to_be_run_is_refused_before_onnx_runtime_sees_it(tmp_path, network, message):
    with pytest.raises(ModelRefused, match=message):
        add_model(write_package(tmp_path / "package", network(), description()))


@pytest.mark.parametrize("content", [b"", b"\x00", b"PK\x03\x04", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f", b"\x0b"])
def test_what_is_no_network_is_refused(content):
    with pytest.raises(ModelRefused, match="ONNX"):
        refuse_unsafe_network(content, "model.onnx")


def test_a_network_that_is_cut_off_anywhere_is_refused_or_read_without_another_error():
    content = neighbourhood_network().SerializeToString()
    for length in range(0, len(content), 7):
        try:
            refuse_unsafe_network(content[:length], "model.onnx")
        except ModelRefused:
            continue


def test_a_file_that_is_exchanged_after_it_was_registered_is_not_loaded(tmp_path, registry):
    registered = add_model(package(tmp_path))
    (registry / "phantom-parts" / "model.onnx").write_bytes(threshold_network(11).SerializeToString())
    with pytest.raises(ModelRefused, match="was changed or damaged"):
        load(registered)


def test_a_model_is_loaded_once(tmp_path):
    add_model(package(tmp_path))
    assert load(registered_model("phantom-parts")) is load(registered_model("phantom-parts"))


def _with_selftest(tmp_path: Path, threshold: float) -> Path:
    import hashlib

    image = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    folder = tmp_path / "package"
    folder.mkdir()
    np.savez(
        folder / "selftest.npz", image=image, labels=(image > threshold).astype(np.uint8), affine_kji_to_lps=np.eye(4)
    )
    network = threshold_network(10).SerializeToString()
    hashes = {
        "model.onnx": hashlib.sha256(network).hexdigest(),
        "selftest.npz": hashlib.sha256((folder / "selftest.npz").read_bytes()).hexdigest(),
    }
    return write_package(folder, network, description(sha256=hashes, selftest={"file": "selftest.npz"}))


def test_the_self_test_tells_a_model_that_does_what_it_did_from_one_that_does_not(tmp_path):
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    assert "least Dice coefficient is 1.0000" in check_model(add_model(_with_selftest(tmp_path / "right", 10)))
    remove_model("phantom-parts")
    with pytest.raises(ModelRefused, match=r"the Dice coefficient of part 1 is 0\.7753"):
        check_model(add_model(_with_selftest(tmp_path / "wrong", 50)))


def test_the_command_line_adds_lists_shows_checks_and_removes(tmp_path, capsys):
    assert main(["model", "add", str(package(tmp_path))]) == 0
    assert main(["model", "list"]) == 0
    assert "phantom-parts: Parts of the phantom, version 1.0, BSD-3-Clause" in capsys.readouterr().out
    assert main(["model", "show", "phantom-parts"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sha256_of_description"] == registered_model("phantom-parts").sha256
    assert main(["model", "check", "phantom-parts"]) == 0
    assert "has no self-test" in capsys.readouterr().out
    assert main(["model", "remove", "phantom-parts"]) == 0
    assert main(["model", "check", "phantom-parts"]) == 2
    assert not (models_folder() / "phantom-parts").exists()
