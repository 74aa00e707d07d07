"""Picker, monitor, comparison, and all of them together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab.errors import DicomError, MalformedRequest, PathRefused, UnknownTask, VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.jobs.handle import job_service
from dlp_lab.models.registry import add_model
from dlp_lab.store.workspace import Workspace
from dlp_lab.volume import Volume
from dlp_lab.widgets.compare import change
from tests.models.networks import description, threshold_network, write_package
from tests.patience import ENDLESS_S, PATIENCE_S, wait_until
from tests.phantom import write_phantom_series
from tests.security.patient_data import fill_with_sentinel, told_of
from tests.widgets.held import Held
from tests.widgets.test_slice_run import volume


@pytest.fixture
def study(workspace: Workspace) -> Path:
    """Two usable series and one with a gap, whose headers tell of a patient."""
    folder = workspace.root / "study"
    gap = write_phantom_series(folder / "a gap", seed=1, modality="MR", edit=lambda _, ds: fill_with_sentinel(ds))
    gap.files[3].unlink()
    for seed, name in ((2, "first"), (3, "second")):
        write_phantom_series(folder / name, seed=seed, shape=(9, 20, 24), edit=lambda _, ds: fill_with_sentinel(ds))
    (folder / "notes.txt").write_text("no image")
    return folder


def told(widget: Any, topic: str) -> dict[str, Any]:
    return dict(wait_until(lambda: widget._told.get(topic))[0])


def test_the_first_usable_series_is_chosen_and_a_refused_one_cannot_be(workspace: Workspace, study: Path) -> None:
    picker = dlp.SeriesPicker(study, root=workspace.root)
    listed = told(picker, "series")
    verdicts = [one["verdict"] for one in listed["series"]]
    assert sorted(verdicts) == ["MISSING_SLICES", "usable", "usable"]
    refused = verdicts.index("MISSING_SLICES")
    first, second = (index for index in range(3) if index != refused)
    assert "slice" in listed["series"][refused]["reason"]
    wait_until(lambda: picker.value)
    assert picker.value == picker.series[first]
    picker._hear(picker, {"type": "choose", "index": second}, [])
    assert picker.value == picker.series[second]
    for wrong in (refused, 3, -1, "1", None):
        picker._hear(picker, {"type": "choose", "index": wrong}, [])
        assert picker.value == picker.series[second]
    assert picker.read().source_series_uid == picker.series[second].series_instance_uid
    picker.close()


def test_usable_series_get_their_pictures(workspace: Workspace, study: Path) -> None:
    picker = dlp.SeriesPicker(study, root=workspace.root)
    series = wait_until(lambda: picker.series)
    usable = [f"picture {index}" for index, one in enumerate(series) if one.verdict == "usable"]
    wait_until(lambda: all(topic in picker._told for topic in usable))
    assert [topic for topic in picker._told if topic.startswith("picture")] == usable
    assert all(picker._told[topic][1][0].startswith(b"\x89PNG") for topic in usable)
    picker.close()


def test_what_a_picker_shows_of_the_patient_is_in_no_state_that_a_notebook_saves(
    workspace: Workspace, study: Path
) -> None:
    picker = dlp.SeriesPicker(study, root=workspace.root)
    assert told_of(json.dumps(told(picker, "series"))) != []
    assert told_of(json.dumps(picker.get_state(), default=repr)) == []
    picker.close()


def test_a_view_that_opens_later_is_told_everything(
    workspace: Workspace, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker = dlp.SeriesPicker(study, root=workspace.root)
    wait_until(lambda: len(picker._told) == 4)
    sent: list[str] = []
    monkeypatch.setattr(picker, "send", lambda content, buffers=(): sent.append(content["type"]))
    picker._hear(picker, {"type": "ready"}, [])
    assert sent == ["series", "chosen", "picture", "picture"]
    for nonsense in (None, 7, [], {"type": ["ready"]}):
        picker._hear(picker, nonsense, [])
    picker.close()


def test_a_folder_without_series_says_so_and_one_outside_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "empty").mkdir()
    picker = dlp.SeriesPicker(workspace.root / "empty", root=workspace.root)
    assert "no series" in told(picker, "series")["note"]
    with pytest.raises(DicomError, match="no series is chosen"):
        picker.read()
    picker.close()
    with pytest.raises(PathRefused):
        dlp.SeriesPicker(tmp_path, root=workspace.root)


def test_the_monitor_tells_of_jobs_as_they_change_and_cancels_and_retries(
    workspace: Workspace, probe_package: object
) -> None:
    monitor = dlp.JobMonitor(root=workspace.root)
    monitor._hear(monitor, {"type": "ready"}, [])
    assert told(monitor, "jobs")["jobs"] == []
    job = dlp.submit("probe", workspace.root / "dicom_data", root=workspace.root, seconds=ENDLESS_S)

    def state() -> str:
        return next((one["state"] for one in told(monitor, "jobs")["jobs"]), "")

    wait_until(lambda: state() == "running")
    monitor._hear(monitor, {"type": "cancel", "uid": job.uid}, [])
    wait_until(lambda: state() == "cancelled")
    monitor._hear(monitor, {"type": "retry", "uid": job.uid}, [])
    wait_until(lambda: state() == "running")
    job.cancel()
    wait_until(lambda: state() == "cancelled")
    monitor.close()


def test_the_monitor_says_why_it_cannot(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = dlp.JobMonitor(root=workspace.root)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(monitor, "send", lambda content, buffers=(): sent.append(content))
    for wrong in ({"type": "cancel", "uid": 7}, {"type": "drop", "uid": "a" * 32}):
        monitor._hear(monitor, wrong, [])
    monitor._hear(monitor, {"type": "cancel", "uid": "a" * 32}, [])
    wait_until(lambda: sent)
    assert [one["type"] for one in sent] == ["refused"]
    monitor.close()


def test_a_monitor_of_no_jobs_is_refused(workspace: Workspace) -> None:
    with pytest.raises(MalformedRequest, match="at least 1; got 0"):
        dlp.JobMonitor(root=workspace.root, limit=0)


def test_a_message_that_names_no_job_is_answered(workspace: Workspace) -> None:
    monitor = dlp.JobMonitor(root=workspace.root)
    said: list[Any] = []
    monitor.send = lambda content, buffers=None: said.append(content)
    for uid in ("", "../x", "\udcff", "f" * 100_000):
        monitor._act("cancel", uid)
    assert [content["message"].split(";")[0] for content in said] == ["no job has that uid"] * 4
    monitor.close()


def test_volumes_on_different_grids_and_labels_that_are_none_are_refused() -> None:
    one = volume()
    half = Volume(one.voxels[::2], Geometry(one.voxels[::2].shape, one.geometry.affine_kji_to_lps))
    with pytest.raises(VolumeError, match="different grids"):
        dlp.Compare(one, half)
    for values in (np.full(one.voxels.shape, -1, np.int16), np.ones(one.voxels.shape, np.float32)):
        with pytest.raises(VolumeError, match="whole numbers"):
            dlp.Compare(one, labels=Volume(values, one.geometry))


def test_the_change_of_two_volumes_is_told_slab_by_slab_as_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlp_lab.widgets.compare._SLAB_BYTES", 9 * 11 * 8 * 4)
    before = volume()
    after = dlp.run("3dblur", before, sigma_mm=2.0)
    after.voxels[:5] = before.voxels[:5]
    difference = np.abs(after.voxels.astype(float) - before.voxels)
    found = change(before, after)
    assert found.mean == pytest.approx(difference.mean())
    assert found.greatest == pytest.approx(difference.max())
    assert difference[found.at_kji] == difference.max()
    assert found.share == np.count_nonzero(difference) / difference.size


def test_labels_of_a_job_lie_over_its_source_with_their_names_and_volumes(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    way = {"kind": "windows", "patch": [4, 4, 4]}
    add_model(write_package(tmp_path / "package", threshold_network(-389.5), description(inference=way)))
    job = dlp.submit("segment", workspace.root / "dicom_data", root=workspace.root).wait(PATIENCE_S, progress=False)
    compare = dlp.Compare.of_job(job)
    assert "part 1" in compare.children[1].value
    assert set(compare.viewer.volumes) == {"before", "labels"}
    compare.close()


def test_a_folder_is_explored_from_its_series_to_the_result_and_all_is_given_back(
    workspace: Workspace, study: Path
) -> None:
    job_service(workspace)  # stays for later jobs
    before = Held.now(workspace.root)
    explorer = dlp.explore(study, root=workspace.root)
    form = wait_until(lambda: explorer.form)
    assert explorer.volume.geometry.shape == (9, 20, 24)
    form.set(sigma_mm=2.0)
    form.control.run()
    compare = wait_until(lambda: explorer.compare)
    assert explorer._stage.children == (compare,)
    explorer._shown.value = "Source"
    assert explorer._stage.children == (explorer.viewer,)
    explorer._task.value = "segment"
    assert explorer.form is not form
    for index in range(3):
        explorer.picker.choose(index)  # the refused one is not chosen
    wait_until(lambda: explorer.volume.source_series_uid == explorer.picker.value.series_instance_uid)
    wait_until(lambda: explorer._side.children[-1] is explorer.form)
    explorer.close()
    wait_until(lambda: Held.now(workspace.root) == before)


def test_a_task_that_is_not_there_is_refused_before_anything_starts(workspace: Workspace) -> None:
    before = Held.now(workspace.root)
    with pytest.raises(UnknownTask):
        dlp.explore(workspace.root / "dicom_data", "gausian", root=workspace.root)
    assert Held.now(workspace.root) == before


def test_a_program_that_ends_with_widgets_open_says_nothing_of_them(tmp_path: Path) -> None:
    program = """
import dlp_lab as dlp
class Holder: pass
held = Holder()
held.by, held.form, held.monitor = held, dlp.TaskForm("3dblur"), dlp.JobMonitor()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True)
    assert ended.stderr == b""
