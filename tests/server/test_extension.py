from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp

from dlp_lab.store.workspace import Workspace
from tests.server.conftest import Fetch


def test_kernels_are_told_the_root_and_the_output_folder(jp_serverapp: ServerApp, jp_root_dir: Path) -> None:
    assert os.environ["DLP_LAB_ROOT"] == str(jp_root_dir)
    assert os.environ["DLP_LAB_OUTPUT"] == "dlp-lab-output"


async def test_root_and_output_folder_can_be_configured(
    jp_configurable_serverapp: object, tmp_path: Path, jp_server_config: dict[str, dict[str, object]]
) -> None:
    root = tmp_path / "elsewhere"
    root.mkdir()
    config = {**jp_server_config, "DlpLabApp": {"root": str(root), "output_dir": "results"}}
    app = jp_configurable_serverapp(config=config)  # type: ignore[operator]
    service = await app.web_app.settings["dlp_lab_open_queue"]()
    assert service.workspace.output_folder == root / "results"
    assert (root / "results" / ".dlp-lab" / "jobs.sqlite").is_file()


def test_a_nonsensical_configuration_is_refused(jp_serverapp: ServerApp) -> None:
    from traitlets import TraitError

    from dlp_lab.server.extension import DlpLabApp

    for setting in ({"max_concurrent_jobs": 0}, {"executor": "cloud"}):
        with pytest.raises(TraitError):
            DlpLabApp(serverapp=jp_serverapp, **setting)


async def test_no_log_names_the_folder_that_was_asked_for(
    fetch: Fetch, jp_root_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    os.rename(jp_root_dir / "dicom_data", jp_root_dir / "ZZPHI")
    for in_dir in ("ZZPHI", "ZZPHI/none", "ZZPHI/../../x", "ZZPHI/00000"):
        await fetch("job/", {"job_name": "3dblur", "in_dir": in_dir})
    await fetch("job/", '{"job_name": "ZZPHI"')
    assert "PATH_REFUSED" in caplog.text
    assert "ZZPHI" not in caplog.text


async def test_an_unexpected_error_is_logged_by_its_place_without_its_text(
    fetch: Fetch, jp_serverapp: ServerApp, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(uid: str) -> None:
        raise OSError(5, "ZZPHI", "/ZZPHI")

    jobs = await jp_serverapp.web_app.settings["dlp_lab_open_queue"]()
    jobs.get = fail
    answer = await fetch("query/x")
    assert (answer.code, b"ZZPHI" in answer.body) == (500, False)
    assert "GET QueryHandler: OSError" in caplog.text
    assert "in fail" in caplog.text
    assert "ZZPHI" not in caplog.text.replace('raise OSError(5, "ZZPHI", "/ZZPHI")', "")


async def test_an_output_folder_that_cannot_be_used_is_503_until_it_can(
    jp_root_dir: Path, jp_serverapp: ServerApp, fetch: Fetch
) -> None:
    in_the_way = jp_root_dir / "results"
    in_the_way.touch()
    extension = jp_serverapp.extension_manager.extension_apps["dlp_lab"].copy().pop()
    await extension.stop_extension()
    extension._stopped, extension._service = False, None
    extension._workspace = Workspace(jp_root_dir, "results")
    answer = await fetch("job/", {"job_name": "3dblur", "in_dir": "dicom_data"})
    assert answer.code == 503
    assert "the output folder 'results' cannot be made" in json.loads(answer.body)["msg"]
    assert json.loads((await fetch("api/v1/jobs")).body)["code"] == "QUEUE_UNUSABLE"
    in_the_way.unlink()
    assert (await fetch("job/", {"job_name": "3dblur", "in_dir": "dicom_data"})).code == 201


def test_loading_the_extension_loads_nothing_heavy() -> None:
    code = (
        "import sys; import dlp_lab; dlp_lab._jupyter_server_extension_points();"
        "heavy = {'numpy', 'scipy', 'pydicom', 'h5py', 'distributed', 'dlp_lab.jobs.service'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    project = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == ""
