"""Exceptions of the system end a job with a code and with what to do, and limits of the system are met for real."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dlp_lab.jobs.foreign_errors import ending_of_foreign
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Failed, Hindered
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series


@pytest.fixture
def job() -> Job:
    return Job(
        uid="1" * 32,
        task="3dblur",
        input_dir="case",
        params={},
        keep_hdf5=False,
        state="running",
        submitted_at="",
        attempts=1,
    )


@pytest.mark.parametrize(
    ("number", "name", "kind", "code", "word"),
    [
        (errno.ENOSPC, "out/1/1.dcm", Hindered, "DISK_FULL", "free space"),
        (errno.EDQUOT, "out/1/1.dcm", Hindered, "DISK_FULL", "free space"),
        (errno.EFBIG, "out/1/1.dcm", Failed, "DISK_FULL", "ulimit -f"),
        (errno.EMFILE, "case/1.dcm", Failed, "TOO_MANY_FILES", "ulimit -n"),
        (errno.ENOMEM, None, Failed, "OUT_OF_MEMORY", "memory"),
        (errno.ENOENT, "out/1/1.dcm", Failed, "QUEUE_UNUSABLE", "output folder"),
        (errno.ENOENT, "case/1.dcm", Failed, "UNREADABLE", "1.dcm of the input"),
        (errno.EIO, "case/1.dcm", Failed, "UNREADABLE", "1.dcm of the input"),
        (errno.EIO, "out/1/1.dcm", Hindered, "DISK_FAILED", "the system's log"),
        (errno.ENOENT, "elsewhere", Failed, "INTERNAL", "FileNotFoundError"),
    ],
)
def test_what_the_system_refuses_is_named_with_what_to_do(tmp_path, job, number, name, kind, code, word):
    workspace = Workspace(tmp_path, "out")
    ending = ending_of_foreign(OSError(number, os.strerror(number), name and str(tmp_path / name)), workspace, job)
    assert type(ending) is kind
    assert ending.code == code
    assert word in ending.message
    assert str(tmp_path) not in ending.message


def test_where_no_thread_can_be_started_memory_is_what_lacks(tmp_path, job, monkeypatch):
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")  # as the interpreter says it

    monkeypatch.setattr(threading, "_start_new_thread", refused)
    with pytest.raises(RuntimeError) as raised:
        threading.Thread(target=print).start()
    ending = ending_of_foreign(raised.value, Workspace(tmp_path), job)
    assert (ending.code, "ulimit -v" in ending.message) == ("OUT_OF_MEMORY", True)
    ending = ending_of_foreign(RuntimeError("another"), Workspace(tmp_path), job)
    assert (ending.code, "another" in ending.message) == ("INTERNAL", False)


@pytest.mark.parametrize("asked", [("--output-form", "multiframe"), ("--keep-hdf5",)])
def test_a_file_larger_than_files_may_be_ends_the_job_by_name(tmp_path: Path, asked: tuple[str, ...]):
    write_phantom_series(tmp_path / "case", shape=(24, 200, 200))
    limit = 500_000  # of the queue's file too
    ran = subprocess.run(
        [sys.executable, "-m", "dlp_lab", "run", "3dblur", str(tmp_path / "case"), *asked, "--root", str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        timeout=120,
        check=False,
    )
    assert (ran.returncode, "DISK_FULL" in ran.stderr, "ulimit -f" in ran.stderr) == (1, True, True), ran.stderr
    printed = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "File too large" in printed
    assert "different Context" not in printed
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".h5", ".dcm") and "case" not in path.parts]


def test_too_few_files_are_told_of_once_while_the_job_waits(tmp_path: Path):
    write_phantom_series(tmp_path / "case")
    command = [sys.executable, "-m", "dlp_lab", "run", "3dblur", str(tmp_path / "case"), "--root", str(tmp_path)]
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limit) as ran:
        assert ran.stderr is not None
        told = [ran.stderr.readline()]
        with pytest.raises(subprocess.TimeoutExpired):
            ran.wait(4)  # it was tried again after a second
        ran.terminate()
        told += ran.stderr.readlines()
    assert [line for line in told if "open files" in line] == [
        "no job can be started for now: too many open files; raise their limit (ulimit -n) and start again\n"
    ]
