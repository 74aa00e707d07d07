from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlp_lab.errors import BadParameters, JobFailed, NoSuchJob, PathRefused, UnknownTask, UnsupportedPixels
from dlp_lab.jobs.handle import job_service, submit
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import wait_for_end
from tests.patience import ENDLESS_S, PATIENCE_S
from tests.phantom import write_phantom_series


@pytest.fixture(autouse=True)
def in_root(workspace: Workspace, probe_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    monkeypatch.delenv("DLP_LAB_ROOT", raising=False)
    monkeypatch.delenv("DLP_LAB_OUTPUT", raising=False)


def test_a_job_submitted_from_python_gives_its_folder(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    handle = submit("3dblur", "dicom_data", sigma_mm=2.0).wait(timeout=PATIENCE_S)
    assert handle.output_path == workspace.root / "dlp-lab-output" / handle.uid
    assert (handle.output_path / "0001.dcm").is_file()
    assert handle.job.params["sigma_mm"] == 2.0
    assert repr(handle) == f"<job {handle.uid}: 3dblur, succeeded>"
    assert "3dblur: succeeded 100%" in capsys.readouterr().err


def test_an_absolute_folder_and_a_named_root_do_as_well(workspace: Workspace, tmp_path: Path) -> None:
    handle = submit("probe", workspace.root / "dicom_data", root=workspace.root, keep_hdf5=True)
    handle.wait(timeout=PATIENCE_S, progress=False)
    assert handle.job.input_dir == "dicom_data"
    assert (handle.output_path / "result.h5").is_file()
    with pytest.raises(PathRefused):
        submit("probe", tmp_path, root=workspace.root)


def test_a_form_of_output_is_asked_for_by_its_name(workspace: Workspace) -> None:
    handle = submit("probe", "dicom_data", output_form="parametric_map").wait(timeout=PATIENCE_S, progress=False)
    assert handle.job.output_form == "parametric_map"
    assert [path.name for path in handle.output_path.glob("*.dcm")] == ["0001.dcm"]
    with pytest.raises(BadParameters, match="no output form named 'pdf'; there are: series, multiframe, para"):
        submit("probe", "dicom_data", output_form="pdf")  # type: ignore[arg-type]


def test_a_form_that_the_source_cannot_have_is_refused_at_submission(workspace: Workspace) -> None:
    write_phantom_series(
        workspace.root / "inverted", edit=lambda k, ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1")
    )
    with pytest.raises(UnsupportedPixels, match="MONOCHROME1"):
        submit("probe", "inverted", output_form="multiframe")
    assert job_service(workspace).newest().jobs == []


def test_waiting_for_a_job_whose_output_folder_is_taken_away_raises_what_became_of_it(workspace: Workspace) -> None:
    handle = submit("probe", "dicom_data", seconds=60)
    until = time.monotonic() + 30
    while handle.job.state != "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    workspace.output_folder.rename(workspace.root / "elsewhere")
    with pytest.raises(NoSuchJob, match="the output folder was moved or removed meanwhile; submit it again"):
        handle.wait(timeout=30, progress=False)


def test_waiting_for_a_job_that_fails_raises_its_sentence() -> None:
    handle = submit("probe", "dicom_data", act="refuse")
    with pytest.raises(JobFailed, match="the probe refuses"):
        handle.wait(timeout=PATIENCE_S, progress=False)
    with pytest.raises(JobFailed, match="it is failed: the probe refuses"):
        _ = handle.output_path


def test_a_job_can_be_cancelled_and_waiting_says_so() -> None:
    handle = submit("probe", "dicom_data", seconds=ENDLESS_S)
    with pytest.raises(TimeoutError, match="runs on"):
        handle.wait(timeout=0.2, progress=False)
    with pytest.raises(JobFailed, match="call wait"):
        _ = handle.output_path
    handle.cancel()
    with pytest.raises(JobFailed, match="cancelled"):
        handle.wait(timeout=PATIENCE_S, progress=False)


def test_a_workspace_has_one_service_in_a_process(workspace: Workspace) -> None:
    assert job_service(workspace) is job_service(Workspace(workspace.root))


def test_a_refusal_is_raised_at_submission() -> None:
    with pytest.raises(UnknownTask, match="no task named 'gausian'; there are: 3dblur, segment, enhance, probe"):
        submit("gausian", "dicom_data")


def test_a_script_without_a_main_guard_is_not_run_again_by_its_jobs(workspace: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from dlp_lab.jobs.handle import submit\n"
        "open('runs', 'a').write('x')\n"
        "print(submit('3dblur', 'dicom_data').wait(progress=False).job.state)\n"
    )
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.stdout.strip(), ended.returncode) == ("succeeded", 0), ended.stderr
    assert (workspace.root / "runs").read_text() == "x"


def test_a_job_is_left_waiting_when_its_process_exits_and_another_process_runs_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    code = "from dlp_lab.jobs.handle import submit; print(submit('probe', 'dicom_data', seconds=1).uid)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    service = job_service(workspace)
    assert wait_for_end(service, ended.stdout.strip()).state == "succeeded"
