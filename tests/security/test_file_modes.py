"""All that is written is its owner's alone, whatever the umask says, and no planted link leads a write elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import dlp_lab as dlp
from dlp_lab.errors import DlpError, PathRefused, QueueUnusable
from dlp_lab.jobs.dispatcher_lock import DispatcherLock
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.service import JobService
from dlp_lab.server.log_file import write_log_to
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import paths_below, wait_for_end
from tests.patience import wait_until
from tests.phantom import write_phantom_series

NOBODY = 65534


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def open_root(no_umask: None) -> Iterator[Path]:
    """A root that every user of the machine may enter and read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "root").mkdir(mode=0o755)
    yield folder / "root"
    shutil.rmtree(folder)


def run_jobs_of_all_kinds(root: Path) -> None:
    """They succeed in every form of output, are refused, crash, are cancelled, and one is still at work at the end."""
    write_phantom_series(root / "dicom_data")
    service = JobService(Workspace(root, "results/of/dlp-lab"), slots=2)
    try:
        asked = [
            JobRequest(task="3dblur", input_dir="dicom_data", keep_hdf5=True),
            JobRequest(task="3dblur", input_dir="dicom_data", output_form="multiframe"),
            JobRequest(task="3dblur", input_dir="dicom_data", output_form="parametric_map"),
            *(JobRequest(task="probe", input_dir="dicom_data", params={"act": act}) for act in ("bug", "crash")),
        ]
        ended = [wait_for_end(service, uid) for uid in [service.submit(request).uid for request in asked]]
        assert [job.state for job in ended] == ["succeeded"] * 3 + ["failed"] * 2
        long = service.submit(JobRequest(task="probe", input_dir="dicom_data", params={"seconds": 60}))
        wait_until(lambda: service.get(long.uid).progress > 0.3)
        check_modes(root)
        service.cancel(long.uid)
        wait_for_end(service, long.uid)
        check_modes(root)
    finally:
        service.close()


def written(root: Path) -> list[Path]:
    """What is not the input, which is the user's own."""
    return [path for path in paths_below(root) if path.relative_to(root).parts[0] != "dicom_data"]


def check_modes(root: Path) -> None:
    found = written(root)
    assert {path.suffix for path in found} >= {".dcm", ".json", ".h5", ".sqlite", ".sqlite-wal", ".lock", ".log"}
    assert {path.name for path in found} >= {"results", "of", "dlp-lab", "jobs.sqlite-shm"}
    for path in found:
        assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_jobs_write_is_for_the_owner_alone_and_another_user_reads_none_of_it(
    open_root: Path, probe_package: Path
) -> None:
    run_jobs_of_all_kinds(open_root)
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return  # nobody can be played; the modes were checked
    reading = ["find", str(open_root), "-type", "f", "-readable"]
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reading]
    seen = subprocess.run(other, capture_output=True, text=True, check=False).stdout.splitlines()
    assert len(seen) == 7
    assert all("/dicom_data/" in path for path in seen)


def test_what_is_converted_is_for_the_owner_alone(tmp_path: Path, no_umask: None) -> None:
    write_phantom_series(tmp_path / "in")
    hdf5 = tmp_path / "new/a/v.h5"
    dlp.dicom_to_hdf5(tmp_path / "in", hdf5, tmp_path / "new/b/v.json")
    for form in ("series", "multiframe", "parametric_map"):
        dlp.hdf5_to_dicom(hdf5, tmp_path / "new/c" / form, output_form=form)
    found = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert len(found) == 1 + 2 + 2 + 4 + 7 + 2
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_log_is_for_the_owner_alone(tmp_path: Path, no_umask: None) -> None:
    write_log_to(tmp_path / "debug.log", [], "INFO")
    assert stat.S_IMODE((tmp_path / "debug.log").stat().st_mode) == 0o600


class Outside:
    """A file and a folder beside the root that are to stay as they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "outside"
        self.folder.mkdir()
        self.file = self.folder / "precious"
        self.file.write_text("precious")

    def is_as_it_was(self) -> bool:
        return list(self.folder.iterdir()) == [self.file] and self.file.read_text() == "precious"


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


@pytest.mark.parametrize("planted", ["dlp-lab-output", "dlp-lab-output/.dlp-lab", "dlp-lab-output/.dlp-lab/logs"])
def test_a_folder_of_ours_that_is_a_link_out_of_the_root_is_refused(
    tmp_path: Path, outside: Outside, planted: str
) -> None:
    root = tmp_path / "root"
    workspace = Workspace(root) if root.is_dir() else None
    (root / planted).parent.mkdir(parents=True)
    workspace = workspace or Workspace(root)
    (root / planted).symlink_to(outside.folder)
    with pytest.raises(DlpError, match="link"):
        JobService(workspace)
    assert outside.is_as_it_was()


@pytest.mark.parametrize("target", ["precious", "new"])
@pytest.mark.parametrize("name", ["jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "dispatcher.lock"])
def test_a_link_where_the_queue_or_its_lock_belongs_is_not_followed(
    tmp_path: Path, outside: Outside, name: str, target: str
) -> None:
    workspace = Workspace(tmp_path, "root")
    workspace.create()
    (workspace.state_folder / name).symlink_to(outside.folder / target)
    with pytest.raises(QueueUnusable) if "-" not in name else contextlib.suppress(QueueUnusable):
        if name == "dispatcher.lock":
            DispatcherLock(workspace.dispatcher_lock)
        else:
            JobStore(workspace.queue_database)
    assert outside.is_as_it_was()


@pytest.mark.parametrize("target", ["precious", "new"])
def test_a_link_where_a_log_or_a_result_belongs_is_not_followed(
    workspace: Workspace, outside: Outside, target: str
) -> None:
    service = JobService(workspace, slots=1, dispatch=False)
    in_log, in_result = (service.submit(JobRequest(task="3dblur", input_dir="dicom_data")).uid for _ in range(2))
    workspace.job_log(in_log).symlink_to(outside.folder / target)
    workspace.job_folder(in_result).symlink_to(outside.folder if target == "precious" else outside.folder / target)
    service.close()
    service = JobService(workspace, slots=1)
    try:
        assert [wait_for_end(service, uid).state for uid in (in_log, in_result)] == ["failed", "failed"]
        for uid in (in_log, in_result):
            service.log_part(uid, 0)
            service.remove(uid, with_result=True)
    finally:
        service.close()
    assert outside.is_as_it_was()


def test_a_link_where_the_log_of_the_server_belongs_is_refused(tmp_path: Path, outside: Outside) -> None:
    for target in (outside.file, outside.folder / "new"):
        (tmp_path / "debug.log").symlink_to(target)
        with pytest.raises(PathRefused, match="symbolic link"):
            write_log_to(tmp_path / "debug.log", [], "INFO")
        (tmp_path / "debug.log").unlink()
    assert outside.is_as_it_was()


def test_links_where_files_are_converted_to_are_not_followed(tmp_path: Path, outside: Outside) -> None:
    write_phantom_series(tmp_path / "in")
    (tmp_path / f".v.h5.partial-{os.getpid()}").symlink_to(outside.file)
    dlp.dicom_to_hdf5(tmp_path / "in", tmp_path / "v.h5", tmp_path / "v.json")
    (tmp_path / f".out.partial-{os.getpid()}").symlink_to(outside.folder)
    with pytest.raises(FileExistsError):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out")
    for name in ("w.h5", "w.json"):
        (tmp_path / name).symlink_to(outside.folder / "new")
        with pytest.raises(FileExistsError):
            dlp.dicom_to_hdf5(tmp_path / "in", tmp_path / "w.h5", tmp_path / "w.json")
        (tmp_path / name).unlink()
    assert outside.is_as_it_was()


def test_an_output_folder_that_becomes_a_link_while_jobs_run_changes_nothing_outside(
    workspace: Workspace, outside: Outside, probe_package: Path
) -> None:
    service = JobService(workspace, slots=1)
    try:
        job = service.submit(JobRequest(task="probe", input_dir="dicom_data", params={"seconds": 1.0}))
        wait_until(lambda: service.get(job.uid).progress > 0.3)
        (workspace.root / workspace.output).rename(workspace.root / "away")
        (workspace.root / workspace.output).symlink_to(outside.folder)
        with pytest.raises(DlpError):
            service.submit(JobRequest(task="3dblur", input_dir="dicom_data"))
    finally:
        service.close()
    assert outside.is_as_it_was()
