from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlp_lab.jobs.job_log import MAX_LOG_BYTES
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.updates import Crashed, Failed, Succeeded
from dlp_lab.store.workspace import Workspace
from tests.contracts.executor_contract import ExecutorContract
from tests.jobs.waiting import process_is_gone, wait_until


class _FullLogs(Workspace):
    """A workspace on whose disk there is no room for logs."""

    def job_log(self, uid: str) -> Path:
        return Path("/dev/full")


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, workspace: Workspace, probe_package: Path) -> Iterator[LocalExecutor]:
        executor = LocalExecutor(workspace, slots=2)
        yield executor
        executor.close()

    @pytest.mark.parametrize("act", ["child", "stubborn"])
    def test_a_job_that_runs_too_long_is_stopped_with_all_it_started(
        self, workspace: Workspace, probe_package: Path, journal: Path, act: str
    ) -> None:
        executor = LocalExecutor(workspace, slots=1, job_seconds=4.0)
        executor.start(self.job(journal, act=act, seconds=60))
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Failed)
        assert (ending.code, "longer than the 4 s" in ending.message) == ("TIMED_OUT", True)
        children = [int(line.split()[1]) for line in journal.read_text().splitlines() if line.startswith("child")]
        assert len(children) == (act == "child")
        wait_until(lambda: all(map(process_is_gone, children)))
        job = self.job(journal, label="quick")
        executor.start(job)
        assert self.endings(executor, 1)[0] == [Succeeded(job.uid, 1, [])]
        executor.close()

    def test_what_a_worker_prints_is_in_the_jobs_log_that_its_owner_alone_can_read(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal, act="bug")
        executor.start(job)
        self.endings(executor, 1)
        log = workspace.job_log(job.uid)
        assert "probe at work" in log.read_text()
        assert "ValueError: secret of the patient" in log.read_text()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600

    def test_a_log_has_a_limit_and_keeps_its_beginning_and_its_end(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal, act="flood")
        executor.start(job)
        self.endings(executor, 1)
        log = workspace.job_log(job.uid).read_text()
        assert len(log) < MAX_LOG_BYTES + 2**17
        assert "probe at work" in log[:2000]
        assert "bytes are left out here" in log
        assert log.endswith("ValueError: after the flood\n")

    def test_a_job_whose_log_cannot_be_written_runs_all_the_same(
        self, workspace: Workspace, probe_package: Path, journal: Path
    ) -> None:
        job = self.job(journal)
        executor = LocalExecutor(_FullLogs(workspace.root), slots=1)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        executor.close()
        assert isinstance(ending, Succeeded)

    def test_where_no_file_can_be_opened_no_job_starts_until_one_can(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        executor.prepare()
        job = self.job(journal)
        before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        try:
            for refusals in range(50):  # wherever the files run out
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + refusals, most))
                with contextlib.suppress(OSError):
                    executor.start(job)
                    break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
        assert refusals > 0
        assert self.endings(executor, 1)[0] == [Succeeded(job.uid, 1, [])]

    def test_a_crash_names_the_log(self, executor: LocalExecutor, journal: Path) -> None:
        job = self.job(journal, act="exit")
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Crashed)
        assert ending.reason.endswith(f"; dlp-lab-output/.dlp-lab/logs/{job.uid}.log has what it printed")

    def test_the_result_is_readable_by_its_owner_alone(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal)
        executor.start(job)
        self.endings(executor, 1)
        folder = workspace.job_folder(job.uid)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    def test_a_result_that_an_earlier_attempt_left_unrecorded_is_replaced(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal)
        stale = workspace.job_folder(job.uid)
        stale.mkdir()
        (stale / "stale.dcm").touch()
        partial = stale.parent / f".{job.uid}.partial-1"
        partial.mkdir()
        executor.start(job)
        self.endings(executor, 1)
        assert (stale / "job.json").is_file()
        assert not (stale / "stale.dcm").exists()
        assert not partial.exists()

    def test_a_worker_computes_in_one_thread_beside_the_one_that_watches_the_server(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        executor.start(self.job(journal, act="multiply"))
        self.endings(executor, 1)
        assert "threads 2" in journal.read_text()

    def test_a_worker_has_the_lowest_priority_a_session_of_its_own_and_makes_no_core_files(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        job = self.job(journal, seconds=60, act="child")
        executor.start(job)
        wait_until(lambda: journal.exists() and "child" in journal.read_text())
        child = int(journal.read_text().split("child ")[1].split()[0])
        status = Path(f"/proc/{child}/status").read_text()
        worker = int(re.findall(r"PPid:\s+(\d+)", status)[0])
        assert os.getsid(worker) == worker
        assert os.getpriority(os.PRIO_PROCESS, worker) == 19
        assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{worker}/limits").read_text())

    def test_an_attempt_waits_until_the_process_of_the_one_before_is_gone(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal)
        with workspace.job_log(job.uid).open("w") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            executor.start(job)
            assert executor.updates(1.0) == []
            assert not journal.exists()
        self.endings(executor, 1)
        assert journal.exists()

    def test_at_least_one_slot_is_needed(self, workspace: Workspace) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            LocalExecutor(workspace, slots=0)
