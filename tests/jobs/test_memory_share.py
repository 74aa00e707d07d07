"""What is taken for free memory, and what fits into it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from dlp_lab.errors import BadParameters
from dlp_lab.jobs import memory_share
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.memory_share import fits, free_memory_bytes
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

GIB = 2**30


@pytest.fixture
def group(tmp_path, monkeypatch):
    """The files in which the system tells of a group's memory."""

    def tell(most: str, used: int, files: int) -> None:
        (tmp_path / "memory.max").write_text(f"{most}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\nfile {files}\n")

    monkeypatch.setattr(memory_share, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory_share, "_available", lambda: 100 * GIB)
    return tell


def test_a_tenth_of_the_free_memory_may_be_taken_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.setattr(memory_share, "free_memory_bytes", lambda: 1000)
    monkeypatch.delenv(memory_share.SHARE_VARIABLE, raising=False)
    assert fits(100)
    assert not fits(101)
    monkeypatch.setenv(memory_share.SHARE_VARIABLE, "0.25")
    assert fits(250)
    assert not fits(251)


@pytest.mark.parametrize("told", ["half", "-1", "1.5", "nan", ""])
def test_another_share_is_refused(monkeypatch, told):
    monkeypatch.setenv(memory_share.SHARE_VARIABLE, told)
    with pytest.raises(BadParameters, match=r"DLP_LAB_MEMORY_SHARE is .*from 0 to 1"):
        fits(1)


def test_without_a_group_all_that_the_system_has_is_free(group):
    assert free_memory_bytes() == 100 * GIB


def test_a_group_without_a_limit_limits_nothing(group):
    group("max", 3 * GIB, GIB)
    assert free_memory_bytes() == 100 * GIB


def test_files_that_a_group_holds_in_memory_make_room(group):
    group(str(8 * GIB), 7 * GIB, 2 * GIB)
    assert free_memory_bytes() == 3 * GIB


@pytest.mark.parametrize(("limit", "used"), [(resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")])
def test_what_the_limits_of_the_process_leave_is_free(group, limit, used):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    taken = int(status[used].split()[0]) * 1024
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (taken + 2 * GIB, before[1]))
    try:
        assert 1.9 * GIB < free_memory_bytes() < 2.1 * GIB
    finally:
        resource.setrlimit(limit, before)


def test_a_share_that_is_none_is_refused_by_jobs_that_would_not_ask_for_it(tmp_path, monkeypatch):
    write_phantom_series(tmp_path / "case")
    monkeypatch.setenv(memory_share.SHARE_VARIABLE, "nan")
    workspace = Workspace(tmp_path)
    workspace.create()
    job = Job(
        uid="1" * 32, task="3dblur", input_dir="case", params={}, keep_hdf5=False, state="running", submitted_at=""
    )
    with pytest.raises(BadParameters, match="DLP_LAB_MEMORY_SHARE is 'nan'"):
        run_job(workspace, job, lambda fraction, message: None)


def test_the_system_tells_how_much_is_free():
    assert 2**20 < free_memory_bytes() < 2**50
