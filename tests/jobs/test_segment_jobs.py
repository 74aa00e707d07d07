"""The task `segment` as a job, from a registered package to the files of its result."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import highdicom
import numpy as np
import pytest

from dlp_lab.cli import main
from dlp_lab.errors import BadParameters, InputUnsuitable, ModelRefused, NoSuchModel
from dlp_lab.jobs.handle import submit
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.jobs.task_catalog import task_info
from dlp_lab.models.registry import add_model, registered_model
from dlp_lab.store.hdf5 import open_hdf5
from dlp_lab.store.workspace import Workspace
from tests.models.networks import description, threshold_network, write_package
from tests.patience import PATIENCE_S
from tests.phantom import Phantom, write_phantom_series

THRESHOLD = -389.5
UID = "a" * 32


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    way = {"kind": "windows", "patch": [4, 4, 4]}
    add_model(write_package(tmp_path / "package", threshold_network(THRESHOLD), description(inference=way)))


@pytest.fixture
def phantom(workspace: Workspace) -> Phantom:
    found = write_phantom_series(workspace.root / "ct", shape=(7, 9, 8))
    assert 0.1 < (found.values > THRESHOLD).mean() < 0.9
    return found


def job(**changes: object) -> Job:
    asked = {"task": "segment", "input_dir": "ct", "params": {}, "keep_hdf5": False, **changes}
    return Job(uid=UID, state="running", submitted_at="", **asked)  # type: ignore[arg-type]


def run(workspace: Workspace, **changes: object) -> Path:
    run_job(workspace, job(**changes), lambda fraction, message: None)
    return workspace.job_folder(UID)


def test_a_job_writes_a_segmentation_and_measurements_and_records_the_hash_of_the_model(workspace, phantom):
    folder = run(workspace, params={"model": "phantom-parts"})
    assert sorted(path.name for path in folder.iterdir()) == [
        "job.json",
        "labels.h5",
        "measurements.dcm",
        "measurements.json",
        "segmentation.dcm",
    ]
    voxels = int((phantom.values > THRESHOLD).sum())
    assert int(highdicom.seg.segread(folder / "segmentation.dcm").pixel_array.sum()) == voxels
    (measured,) = json.loads((folder / "measurements.json").read_text())["labels"]
    assert (measured["number"], measured["segment"], measured["name"]) == (1, 1, "part 1")
    assert (measured["voxels"], measured["ml"]) == (voxels, pytest.approx(voxels * 2.5 * 0.8 * 0.5 / 1000))
    told = json.loads((folder / "job.json").read_text())
    assert told["result"]["algorithm"]["parameters"]["model.json SHA-256"] == registered_model("phantom-parts").sha256
    assert set(told["software"]) >= {"onnxruntime", "highdicom"}


def test_the_only_model_need_not_be_named(workspace, phantom):
    assert (run(workspace) / "segmentation.dcm").exists()


def test_a_job_keeps_the_labels_as_hdf5_when_asked_to(workspace, phantom):
    folder = run(workspace, keep_hdf5=True)
    with h5py.File(folder / "result.h5") as file:
        np.testing.assert_array_equal(file["entry/volume/image"], phantom.values > THRESHOLD)


def test_the_labels_lie_beside_the_segmentation_for_viewers_and_name_no_patient(workspace, phantom):
    folder = run(workspace)
    labels = open_hdf5(folder / "labels.h5")
    np.testing.assert_array_equal(labels.voxels, phantom.values > THRESHOLD)
    np.testing.assert_allclose(labels.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-9)
    assert b"PHANTOM" not in (folder / "labels.h5").read_bytes()


def test_a_job_of_the_queue_ends_in_a_segmentation(workspace, phantom):
    done = submit("segment", workspace.root / "ct", root=workspace.root, form="labelmap").wait(timeout=PATIENCE_S)
    assert (done.output_path / "segmentation.dcm").exists()


def test_the_second_job_of_a_queue_finds_the_model_loaded(workspace, phantom):
    jobs = [submit("segment", workspace.root / "ct", root=workspace.root).wait(timeout=PATIENCE_S) for _ in range(2)]
    first, second = (workspace.job_log(one.job.uid).read_text() for one in jobs)
    assert "model phantom-parts loaded in" in first
    assert "loaded" not in second
    assert jobs[0].job.uid != jobs[1].job.uid


def test_a_series_of_another_modality_fails_with_a_reason(workspace):
    write_phantom_series(workspace.root / "mr", modality="MR")
    with pytest.raises(InputUnsuitable, match="is made for CT; the series is MR"):
        run(workspace, input_dir="mr")
    assert not workspace.job_folder(UID).exists()


def test_what_no_model_can_do_is_refused_when_it_is_submitted(workspace, phantom):
    def asked(**options: object) -> None:
        submit("segment", workspace.root / "ct", root=workspace.root, **options)  # type: ignore[arg-type]

    with pytest.raises(NoSuchModel, match="no model named 'liver'; there are: phantom-parts"):
        asked(model="liver")
    with pytest.raises(NoSuchModel, match=r"no model named .\.\./package"):
        asked(model="../package")
    with pytest.raises(BadParameters, match="leave out --output-form"):
        asked(output_form="multiframe")
    with pytest.raises(BadParameters, match="form"):
        asked(form="mesh")


def test_the_doors_offer_the_models_that_are_registered_now(tmp_path):
    schema = task_info("segment").params_schema["properties"]["model"]
    assert (schema["enum"], schema["default"]) == (["phantom-parts"], "phantom-parts")
    add_model(write_package(tmp_path / "other", threshold_network(0), description(name="another")))
    schema = task_info("segment").params_schema["properties"]["model"]
    assert (schema["enum"], schema["default"]) == (["", "another", "phantom-parts"], "")


def test_among_several_models_none_is_taken_by_itself(workspace, phantom, tmp_path):
    add_model(write_package(tmp_path / "other", threshold_network(0), description(name="another")))
    with pytest.raises(NoSuchModel, match="no model is named; choose one of another, phantom-parts"):
        submit("segment", workspace.root / "ct", root=workspace.root)


def test_the_command_line_runs_a_model_by_its_name(workspace, phantom, capsys):
    arguments = [
        "run",
        "segment",
        str(workspace.root / "ct"),
        "--root",
        str(workspace.root),
        "--model",
        "phantom-parts",
    ]
    assert main(arguments) == 0
    assert (Path(capsys.readouterr().out.strip()) / "measurements.json").exists()


def test_a_model_that_is_damaged_meanwhile_fails_the_job_and_not_the_schema(workspace, phantom, tmp_path):
    (tmp_path / "registry/phantom-parts/model.json").write_text("{")
    assert "phantom-parts (damaged)" in task_info("segment").params_schema["properties"]["model"]["description"]
    with pytest.raises(ModelRefused, match=r"model\.json"):
        run(workspace)
