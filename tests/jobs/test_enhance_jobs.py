"""The task `enhance`, and jobs on several series of a study, from registered packages to the files of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

from dlp_lab.cli import main
from dlp_lab.conformance.check import check_derived
from dlp_lab.errors import BadParameters, DlpError, InputUnsuitable
from dlp_lab.jobs.convert import read_series
from dlp_lab.jobs.handle import submit
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.models.registry import add_model, registered_model
from dlp_lab.store.workspace import Workspace
from tests.models.networks import convolutions, description, label, mean_network, threshold_network, write_package
from tests.patience import PATIENCE_S
from tests.phantom import Phantom, value_at, write_phantom_series

UID = "a" * 32
SMOOTHING = {"value": "113087", "scheme": "DCM", "meaning": "Smoothing"}
IMAGE = {"name": "scores", "kind": "image", "derivation": SMOOTHING}
TWO = {"name": "image", "channels": [{"name": "T1w", "modality": ["MR"]}, {"name": "FLAIR", "modality": ["MR"]}]}


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))


def register(folder: Path, network: Any, **described: Any) -> None:
    add_model(write_package(folder, network, description(0, **described)))


@pytest.fixture
def mean(tmp_path: Path) -> None:
    way = {"kind": "tiles", "halo": [1, 1, 1], "bytes_per_voxel": 100}
    register(tmp_path / "mean", mean_network(), name="mean", title="Mean of 27", output=IMAGE, inference=way)


@pytest.fixture
def sum_of_two(tmp_path: Path) -> None:
    register(tmp_path / "sum", mean_network(2), name="sum", title="Sum", output=IMAGE, input=TWO)


def run(workspace: Workspace, **changes: object) -> Path:
    asked = {"task": "enhance", "input_dir": "ct", "params": {}, "keep_hdf5": False, **changes}
    job = Job(uid=UID, state="running", submitted_at="", **asked)  # type: ignore[arg-type]
    run_job(workspace, job, lambda fraction, message: None)
    return workspace.job_folder(UID)


def study(workspace: Workspace, **flair: Any) -> tuple[Phantom, Phantom]:
    """A T1w and a FLAIR of one study, in one frame of reference, on grids of their own."""
    uids = {"StudyInstanceUID": "2.25.111", "FrameOfReferenceUID": "2.25.222"}

    def of_study(k: int, ds: Dataset) -> None:
        for keyword, value in {**uids, **flair.get("differing", {})}.items():
            setattr(ds, keyword, value)

    def first(k: int, ds: Dataset) -> None:
        for keyword, value in uids.items():
            setattr(ds, keyword, value)

    shape = {"shape": (8, 24, 22), "spacing_kji_mm": (2.0, 0.9, 0.8), "origin_lps_mm": (10.0, 20.0, 40.0)}
    larger = {"shape": (14, 30, 40), "spacing_kji_mm": (1.7, 1.1, 0.9), "origin_lps_mm": (3.0, 16.0, 33.0)}
    t1 = write_phantom_series(workspace.root / "study/t1", modality="MR", edit=first, **shape)  # type: ignore[arg-type]
    other = write_phantom_series(
        workspace.root / "study/flair", modality="MR", edit=of_study, **{**larger, **flair.get("grid", {})}
    )
    return t1, other


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_job_writes_a_derived_series_that_passes_every_check(workspace, mean, tmp_path, modality):
    register(
        tmp_path / "any",
        mean_network(),
        name="any",
        output=IMAGE,
        input={"name": "image", "channels": [{"name": "any"}]},
    )
    phantom = write_phantom_series(workspace.root / "in", modality=modality, shape=(7, 9, 8))
    folder = run(workspace, input_dir="in", params={"model": "any"})
    assert check_derived(workspace.root / "in", folder).findings == ()
    expected = ndimage.uniform_filter(phantom.values, 3, mode="constant")
    np.testing.assert_allclose(read_series(folder).voxels, expected, atol=0.51)


def test_the_result_says_by_what_model_it_was_made(workspace, mean):
    write_phantom_series(workspace.root / "ct", shape=(7, 9, 8))
    folder = run(workspace)
    sha256 = registered_model("mean").sha256
    ds = pydicom.dcmread(folder / "0001.dcm")
    assert f"Mean of 27 (model mean 1.0, SHA-256 of its description {sha256})" in ds.DerivationDescription
    assert [item.CodeValue for item in ds.DerivationCodeSequence] == ["113087"]
    assert len(ds.SourceImageSequence) == 2  # the halo of the network reaches one slice
    told = json.loads((folder / "job.json").read_text())["result"]
    assert told["algorithm"]["parameters"]["model.json SHA-256"] == sha256
    assert set(told["algorithm"]["parameters"]) == {"model.json SHA-256", "provider", "model.onnx SHA-256"}


@pytest.mark.parametrize("form", ["multiframe", "parametric_map"])
def test_the_other_forms_of_output_pass_every_check_too(workspace, mean, form):
    write_phantom_series(workspace.root / "ct", shape=(7, 9, 8))
    folder = run(workspace, output_form=form)
    assert check_derived(workspace.root / "ct", folder).findings == ()


def test_what_the_model_was_not_made_for_is_refused_when_it_is_submitted_at_every_door(workspace, mean, capsys):
    write_phantom_series(workspace.root / "mr", modality="MR")
    with pytest.raises(InputUnsuitable, match="model mean is made for CT; the series is MR"):
        submit("enhance", workspace.root / "mr", root=workspace.root)
    assert main(["run", "enhance", str(workspace.root / "mr"), "--root", str(workspace.root)]) == 2
    assert "model mean is made for CT; the series is MR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"spacing_max_mm": 1}, "takes voxels of at most 1 mm"),
        ({"spacing_min_mm": 1}, "takes voxels of at least 1 mm"),
        ({"min_extent_mm": [100, 100, 100]}, "needs 100 x 100 x 100 mm of the body"),
    ],
)
def test_a_grid_that_the_model_was_not_made_for_is_refused_when_it_is_submitted(
    workspace, tmp_path, constraints, message
):
    write_phantom_series(workspace.root / "ct")
    register(tmp_path / "strict", mean_network(), name="strict", output=IMAGE, constraints=constraints)
    with pytest.raises(InputUnsuitable, match=message):
        submit("enhance", workspace.root / "ct", root=workspace.root)


def test_each_task_takes_the_models_that_make_what_it_makes(workspace, mean, tmp_path):
    write_phantom_series(workspace.root / "ct")
    add_model(write_package(tmp_path / "parts", threshold_network(0), description(1)))
    with pytest.raises(InputUnsuitable, match="model mean makes an image, and is for another task"):
        submit("segment", workspace.root / "ct", root=workspace.root, model="mean")
    with pytest.raises(InputUnsuitable, match="model phantom-parts makes structures, and is for another task"):
        submit("enhance", workspace.root / "ct", root=workspace.root, model="phantom-parts")
    assert (
        submit("segment", workspace.root / "ct", root=workspace.root).wait(timeout=PATIENCE_S).job.state == "succeeded"
    )


def test_another_series_is_resampled_to_the_grid_of_the_jobs_own(workspace, sum_of_two):
    t1, _ = study(workspace)
    folder = run(workspace, input_dir="study/t1", params={"channels": {"FLAIR": "study/flair"}})
    expected = ndimage.uniform_filter(t1.values, 3, mode="constant") + value_at(t1.positions)
    np.testing.assert_allclose(read_series(folder).voxels, expected, atol=1.2)  # both were rounded
    told = json.loads((folder / "job.json").read_text())["source"]["other_channels"]
    assert [one["channel"] for one in told] == ["FLAIR"]


def test_a_series_of_the_jobs_folder_is_named_by_its_uid(workspace, sum_of_two):
    t1, flair = study(workspace)
    own, other = (pydicom.dcmread(one.files[0]).SeriesInstanceUID for one in (t1, flair))
    job = submit(
        "enhance", workspace.root / "study", root=workspace.root, channels={"FLAIR": other}, read={"series": own}
    )
    assert len(list(job.wait(timeout=PATIENCE_S).output_path.glob("0*.dcm"))) == len(t1.files)


def test_the_result_refers_to_the_images_of_all_series_and_passes_every_check(workspace, sum_of_two):
    t1, flair = study(workspace)
    folder = run(workspace, input_dir="study/t1", params={"channels": {"FLAIR": "study/flair"}})
    images = {str(pydicom.dcmread(path).SOPInstanceUID) for path in (*t1.files, *flair.files)}
    ds = pydicom.dcmread(folder / "0001.dcm")
    assert {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence} == images
    report = check_derived(t1.folder, folder, others=[flair.folder])
    assert report.findings == ()
    assert "rules:source-images-known" in check_derived(t1.folder, folder).codes


def test_a_segmentation_of_several_series_lists_the_images_of_all(workspace, tmp_path):
    added = convolutions([np.array([[0, 0], [1, 1]], float).reshape(2, 2, 1, 1, 1)], [np.array([0, -400.0])])
    output = {"name": "scores", "kind": "softmax", "labels": [label(1)]}
    register(tmp_path / "both", added, name="both", input=TWO, output=output)
    t1, flair = study(workspace)
    folder = run(workspace, task="segment", input_dir="study/t1", params={"channels": {"FLAIR": "study/flair"}})
    segmentation = highdicom.seg.segread(folder / "segmentation.dcm")
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for series in segmentation.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    assert listed == {str(pydicom.dcmread(path).SOPInstanceUID) for path in (*t1.files, *flair.files)}
    assert check_derived(t1.folder, folder, others=[flair.folder]).findings == ()
    assert check_derived(t1.folder, folder).codes >= {"rules:source-slices-listed"}
    expected = t1.values + value_at(t1.positions) > 400
    assert abs(int(segmentation.pixel_array.sum()) - int(expected.sum())) < 0.02 * expected.sum()


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({}, "takes T1w and FLAIR; name the series of FLAIR by the parameter channels"),
        ({"T1w": "study/t1"}, "T1w is the series of the job itself"),
        ({"FLAIR": "study/flair", "T2w": "study/t2"}, "has no channel T2w; it takes FLAIR beside T1w"),
        ({"FLAIR": "study/absent"}, "does not exist"),
        ({"FLAIR": "../flair"}, "leaves the root"),
        ({"FLAIR": "1.2.3"}, "no series 1.2.3 is in the folder"),
    ],
)
def test_a_channel_that_lacks_or_is_not_there_is_refused_when_it_is_submitted(workspace, sum_of_two, channels, message):
    study(workspace)
    with pytest.raises(DlpError, match=message):
        submit("enhance", workspace.root / "study/t1", root=workspace.root, channels=channels)


@pytest.mark.parametrize(
    ("differing", "message"),
    [
        ({"FrameOfReferenceUID": "2.25.3"}, "FLAIR is in another frame of reference"),
        ({"StudyInstanceUID": "2.25.3"}, "FLAIR is of another patient or study"),
        ({"PatientID": "OTHER"}, "FLAIR is of another patient or study"),
    ],
)
def test_a_series_of_another_place_study_or_patient_is_refused(workspace, sum_of_two, differing, message):
    study(workspace, differing=differing)
    with pytest.raises(InputUnsuitable, match=message):
        submit("enhance", workspace.root / "study/t1", root=workspace.root, channels={"FLAIR": "study/flair"})


def test_a_series_that_covers_a_part_of_the_jobs_own_is_a_warning_and_one_beside_it_is_refused(workspace, sum_of_two):
    study(workspace, grid={"shape": (4, 30, 40)})
    channels = {"FLAIR": "study/flair"}
    job = Job(
        uid=UID,
        state="running",
        submitted_at="",
        task="enhance",
        input_dir="study/t1",
        params={"channels": channels},
        keep_hdf5=False,
    )
    warnings = run_job(workspace, job, lambda fraction, message: None)
    assert any(warning.startswith("the series of FLAIR covers ") for warning in warnings)
    study(workspace, grid={"origin_lps_mm": (500.0, 16.0, 33.0)})
    with pytest.raises(InputUnsuitable, match="FLAIR lies beside the job's series"):
        run_job(workspace, job, lambda fraction, message: None)


def test_an_image_of_several_series_is_refused_in_one_file(workspace, sum_of_two):
    study(workspace)
    with pytest.raises(BadParameters, match="made of several series is written as a series of single images"):
        submit(
            "enhance",
            workspace.root / "study/t1",
            root=workspace.root,
            channels={"FLAIR": "study/flair"},
            output_form="multiframe",
        )


@pytest.mark.parametrize("named", ["FLAIR=study/flair", '{"FLAIR": "study/flair"}'])
def test_the_command_line_names_the_other_channels(workspace, sum_of_two, capsys, named):
    study(workspace)
    arguments = ["run", "enhance", str(workspace.root / "study/t1"), "--root", str(workspace.root)]
    assert main([*arguments, "--channels", named]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "0001.dcm").exists()


def test_a_channel_without_a_series_is_refused_on_the_command_line(workspace, sum_of_two, capsys):
    study(workspace)
    arguments = ["run", "enhance", str(workspace.root / "study/t1"), "--root", str(workspace.root)]
    with pytest.raises(SystemExit):
        main([*arguments, "--channels", "study/flair"])
    assert "give NAME=VALUE" in capsys.readouterr().err
