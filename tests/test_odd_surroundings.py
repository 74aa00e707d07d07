"""Where homes, folders for temporary files, paths, locales and streams are not as one is used to.

Commands and servers are processes of their own here, as their users start them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab import read_hdf5
from dlp_lab.errors import Hdf5Error, PathRefused
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import wait_for_end
from tests.patience import PATIENCE_S, wait_until
from tests.phantom import write_phantom_series

REPOSITORY = Path(__file__).parent.parent
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
NOTHING = {"PYTHONPATH": os.fspath(REPOSITORY)}
# below a path where nobody, root neither, can make a folder
ABSENT = {**NOTHING, "HOME": "/proc/none/home", "TMPDIR": "/proc/none/tmp", "PATH": ""}
SURROUNDINGS = {
    "nothing is set": NOTHING,
    "home, temporary files and path are nowhere": ABSENT,
    "home is a file": {**ABSENT, "HOME": "/dev/null", "XDG_DATA_HOME": "/dev/null"},
    "the locale knows ASCII alone": {**NOTHING, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "every warning is an error": {**os.environ, **NOTHING, "PYTHONWARNINGS": "error"},
}


@pytest.fixture
def root(tmp_path) -> Path:
    write_phantom_series(tmp_path / "case")
    return tmp_path


def started(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, before: Callable[[], object] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dlp_lab", *arguments],
        cwd=cwd,
        env=env or {**os.environ, **NOTHING},
        preexec_fn=before,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(*arguments: str, cwd: Path, **how: Any) -> tuple[int, str, str]:
    """Exit status, and what was printed."""
    process = started(*arguments, cwd=cwd, **how)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.decode(), err.decode()


def without_rights_of_root() -> None:
    """What is read-only is so for root too."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_a_job_is_done_where(root, surroundings):
    status, out, err = ended("run", "3dblur", "case", "--keep-hdf5", cwd=root, env=SURROUNDINGS[surroundings])
    assert (status, err) == (0, "")
    assert Path(out.strip(), "result.h5").is_file()


@pytest.mark.parametrize("surroundings", ["nothing is set", "home, temporary files and path are nowhere"])
def test_a_server_works_where(root, surroundings):
    env = {**SURROUNDINGS[surroundings], "JUPYTER_TOKEN": "secret"}
    with served(root, env=env) as ask:
        job = ask("jobs", {"task": "3dblur", "input_dir": "case"})
        assert ask(f"jobs/{job['uid']}?wait_seconds=20")["state"] == "succeeded"
        assert ask("volumes", {"path": "case"})["info"]["shape"] == [7, 5, 6]
        assert [one["verdict"] for one in ask("series?dir=case")["series"]] == ["usable"]


@contextlib.contextmanager
def served(root: Path, **how: Any) -> Iterator[Callable[..., Any]]:
    process = started("serve", "--root", os.fspath(root), "--port", "0", cwd=root, **how)
    assert process.stdout and process.stderr
    address = ""
    while not address:
        line = process.stdout.readline().decode()
        assert line, process.stderr.read().decode()
        address = line.partition("serves on ")[2].partition(" ")[0]

    def ask(path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{address}dlp-lab/api/v1/{path}", data, {"Authorization": "token secret"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())

    try:
        yield ask
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_a_job_is_done_whichever_of_the_standard_streams_are_closed(root, closed):
    def close() -> None:
        for number in closed:
            os.close(number)

    status, _, _ = ended("run", "3dblur", "case", cwd=root, before=close)
    assert status == 0
    assert len(list(root.glob("dlp-lab-output/*/job.json"))) == 1


@pytest.mark.parametrize("umask", [0o077, 0o777])
def test_a_result_can_be_read_by_who_made_it_whatever_the_umask(root, umask):
    status, out, _ = ended("run", "3dblur", "case", cwd=root, before=lambda: os.umask(umask))
    assert status == 0
    assert {path.stat().st_mode & 0o777 for path in Path(out.strip()).iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["-x", "a\nb", "a'b\"c", " a ", "--root=x", "$(x);`y`", "ä東"])
def test_a_folder_may_have_any_name(root, name):
    (root / "case").rename(root / name)
    status, out, _ = ended("run", "3dblur", f"./{name}", cwd=root)
    assert status == 0
    assert json.loads(Path(out.strip(), "job.json").read_bytes())["request"]["input_dir"] == name


@pytest.mark.parametrize("command", [["run", "3dblur", "case"], ["serve"]])
def test_a_folder_that_was_removed_is_no_place_to_start_from_and_that_is_said(tmp_path, command):
    gone = tmp_path / "gone"
    gone.mkdir()
    status, _, err = ended(*command, cwd=gone, before=lambda: os.rmdir(gone))
    assert (status, err) == (2, "dlp-lab: the current folder was removed; go to another one and try again\n")


def test_in_a_notebook_too_the_root_that_is_meant_is_asked_for(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.delenv("DLP_LAB_ROOT", raising=False)
    with pytest.raises(PathRefused, match="the current folder was removed"):
        Workspace.from_environment()
    monkeypatch.setenv("DLP_LAB_ROOT", os.fspath(tmp_path))
    assert Workspace.from_environment().root == tmp_path


def test_jobs_wait_and_say_why_where_the_folder_of_a_server_was_removed_and_go_on_when_it_is_back(
    workspace, tmp_path, monkeypatch
):
    gone = tmp_path / "gone"
    gone.mkdir()
    service = JobService(workspace, executor=ExecutorSettings().new_executor(workspace, 1, None))
    monkeypatch.chdir(gone)
    gone.rmdir()
    uid = service.submit(JobRequest(task="3dblur", input_dir="dicom_data")).uid
    wait_until(lambda: "the folder that this program was started in is gone" in service.get(uid).message)
    assert service.get(uid).state == "queued"
    monkeypatch.chdir(tmp_path)
    assert wait_for_end(service, uid).state == "succeeded"
    service.close()


def test_an_output_folder_that_became_read_only_is_named_as_the_reason(root):
    assert ended("run", "3dblur", "case", cwd=root)[0] == 0
    output = root / "dlp-lab-output"
    output.chmod(0o500)
    status, _, err = ended("run", "3dblur", "case", cwd=root, before=without_rights_of_root)
    output.chmod(0o700)
    assert status == 1
    assert "QUEUE_UNUSABLE: the output folder cannot be written to (Permission denied)" in err


def test_a_root_that_is_read_only_is_refused_for_jobs_and_can_be_looked_at(root):
    root.chmod(0o500)
    status, _, err = ended("run", "3dblur", "case", cwd=root, before=without_rights_of_root)
    assert status == 2
    assert "cannot be made in the root: Permission denied" in err
    status, out, _ = ended("series", "case", cwd=root, before=without_rights_of_root)
    root.chmod(0o700)
    assert (status, "usable" in out) == (0, True)


def test_a_file_that_cannot_be_made_is_called_by_the_name_that_was_asked_for(root):
    places = root / "made"
    places.mkdir(0o500)
    files = ["-h", "made/a.h5", "-j", "made/a.json"]
    status, _, err = ended("dicom-to-hdf5", "-i", "case", *files, cwd=root, before=without_rights_of_root)
    assert (status, err) == (1, "dlp-lab: made/a.h5: Permission denied\n")


def test_a_folder_is_told_from_a_file_that_is_absent_where_hdf5_is_asked_for(root):
    for name, why in (("case", "case is no file"), ("absent.h5", "absent.h5 does not exist")):
        with pytest.raises(Hdf5Error, match=f"^{why}; give an HDF5 file"):
            read_hdf5(root / name)
