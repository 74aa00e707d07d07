"""What makes a case another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlp_lab.cohort import inputs as inputs_module
from dlp_lab.cohort.case import Case
from dlp_lab.cohort.fingerprint import case_fingerprint, submission_key
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.cohort.plan import planned
from dlp_lab.jobs.job import JobRequest
from dlp_lab.models.registry import add_model, remove_model
from dlp_lab.store.cohort_folder import CohortFolder
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task
from tests.cohort.conftest import Runs
from tests.models.networks import description, mean_network, threshold_network, write_package
from tests.phantom import write_phantom_series

SEGMENT = JobRequest(task="segment", input_dir="a")


def test_another_model_of_the_same_name_makes_another_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    without = case_fingerprint(SEGMENT, "input")
    way = {"kind": "windows", "patch": [4, 4, 4]}
    name = add_model(
        write_package(tmp_path / "one", threshold_network(10), description(inference=way))
    ).description.name
    first = case_fingerprint(SEGMENT, "input")
    assert first == case_fingerprint(SEGMENT, "input")
    remove_model(name)
    add_model(write_package(tmp_path / "two", threshold_network(20), description(inference=way)))
    assert len({without, first, case_fingerprint(SEGMENT, "input")}) == 3


def test_another_version_makes_another_case(monkeypatch: pytest.MonkeyPatch) -> None:
    request = JobRequest(task="3dblur", input_dir="a")
    before = case_fingerprint(request, "input")
    monkeypatch.setattr(task, "__version__", "99.0")
    assert case_fingerprint(request, "input") != before


def test_a_parameter_that_is_its_default_is_no_change() -> None:
    bare = JobRequest(task="3dblur", input_dir="a")
    named = JobRequest(task="3dblur", input_dir="b", params={"mode": "nearest"}, priority=3, group="g")
    assert case_fingerprint(bare, "input") == case_fingerprint(named, "input")
    assert submission_key(bare, "x") != submission_key(named, "x")


def test_files_are_read_once_and_not_at_all_in_the_next_run(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    digest = inputs_module._file_sha256

    def counting(path: Path) -> str:
        read.append(path)
        return digest(path)

    monkeypatch.setattr(inputs_module, "_file_sha256", counting)
    run()
    assert len(read) == len(set(read)) == 3 * 7
    run()
    assert len(read) == 3 * 7


def test_a_memory_that_is_damaged_is_not_believed(run: Runs) -> None:
    first = run()
    (first.path / ".cohort/inputs.json").write_bytes(b'[{"state": 1}]')
    assert run().jobs == 0


def test_a_file_of_another_series_beside_it_is_no_change(tmp_path: Path) -> None:
    write_phantom_series(tmp_path / "a", seed=1)
    workspace = Workspace(tmp_path)
    before = Inputs(workspace, tmp_path / "m").content("a")
    uid = before.series[0].series_instance_uid
    for path in write_phantom_series(tmp_path / "b", seed=2).files:
        path.rename(tmp_path / "a" / f"other-{path.name}")
    after = Inputs(workspace, tmp_path / "m").content("a")
    assert after.sha256_of(uid) == before.sha256_of(uid)
    assert after.sha256_of(None) != before.sha256_of(None)


def test_a_change_of_another_channel_makes_another_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    channels = {"name": "image", "channels": [{"name": "T1w"}, {"name": "FLAIR"}]}
    described = description(0, input=channels, output={"name": "scores", "kind": "image"})
    add_model(write_package(tmp_path / "sum", mean_network(2), described))
    root = tmp_path / "root"
    write_phantom_series(root / "t1", seed=1)
    workspace, cohort = Workspace(root), CohortFolder(root / "out", "out")
    request = JobRequest(task="enhance", input_dir="", params={"channels": {"FLAIR": "flair"}})

    def fingerprint() -> str:
        cases = [Case(case_id="one", input_dir="t1")]
        return planned(workspace, cohort, Inputs(workspace, tmp_path / "m"), cases, request, None, retry_failed=False)[
            0
        ].fingerprint

    absent = fingerprint()
    files = write_phantom_series(root / "flair", seed=2).files
    before = fingerprint()
    assert before == fingerprint()
    files[0].unlink()
    assert len({absent, before, fingerprint()}) == 3
