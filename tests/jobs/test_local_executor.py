from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import stat
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import msgspec
import pytest

from dlp_lab.jobs.earlier_attempt import wait_for_earlier_attempt
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_log import MAX_LOG_BYTES
from dlp_lab.jobs.job_processes import is_stopped
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.updates import Cancelled, Crashed, Failed, Hindered, Succeeded
from dlp_lab.jobs.worker_policy import DEFAULT_NICENESS, WorkerPolicy
from dlp_lab.jobs.worker_process import WorkerProcess
from dlp_lab.store.workspace import Workspace
from tests.contracts.executor_contract import ExecutorContract
from tests.jobs.waiting import process_is_gone
from tests.patience import ENDLESS_S, wait_until


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
        executor = LocalExecutor(workspace, slots=1, job_seconds=8.0)
        executor.start(self.job(journal, act=act, seconds=ENDLESS_S))
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Failed)
        assert (ending.code, "longer than the 8 s" in ending.message) == ("TIMED_OUT", True)
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
            # wherever the files run out; other tests of this process may hold many that lie above the lowest free one
            for refusals in range(before - lowest_free):
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

    def test_a_worker_stands_back_has_a_session_of_its_own_and_makes_no_core_files(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        job = self.job(journal, seconds=ENDLESS_S, act="child")
        executor.start(job)
        wait_until(lambda: journal.exists() and "child" in journal.read_text())
        child = int(journal.read_text().split("child ")[1].split()[0])
        status = Path(f"/proc/{child}/status").read_text()
        worker = int(re.findall(r"PPid:\s+(\d+)", status)[0])
        assert os.getsid(worker) == worker
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, worker) == min(own + DEFAULT_NICENESS, 19)
        assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{worker}/limits").read_text())

    def test_an_attempt_waits_until_the_process_of_the_one_before_is_gone(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal, act="pid", seconds=8.0)
        executor.prepare()
        other = LocalExecutor(workspace, slots=1)
        other.start(job)
        wait_until(journal.exists)
        executor.start(msgspec.structs.replace(job, attempts=2, params={**job.params, "seconds": 0.0}))
        self.endings(executor, 1)
        words = [line.split()[0] for line in journal.read_text().splitlines()]
        assert words == ["start", "pid", "end", "start", "pid", "end"]
        self.endings(other, 1)
        other.close()

    def test_an_attempt_does_not_wait_for_what_the_one_before_forked(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal)
        reader, writer = os.pipe()
        with workspace.job_log(job.uid).open("w") as log:
            child = os.fork()
            if child == 0:
                wait_for_earlier_attempt(log.fileno())
                if os.fork() == 0:
                    os.write(writer, str(os.getpid()).encode())
                    time.sleep(ENDLESS_S)
                os._exit(0)
        os.waitpid(child, 0)
        forked = int(os.read(reader, 100))
        try:
            executor.start(job)
            assert isinstance(self.endings(executor, 1)[0][0], Succeeded)
        finally:
            os.kill(forked, signal.SIGKILL)
            os.close(reader)
            os.close(writer)

    def pids(self, executor: LocalExecutor, journal: Path, *acts: dict[str, str]) -> list[int]:
        """Processes of jobs that run one after the other: of each that does as told, and of one after it."""
        for act in (*acts, {"act": "pid"}):
            executor.start(self.job(journal, **act))
            self.endings(executor, 1)
        return [int(line.split()[1]) for line in journal.read_text().splitlines() if line.startswith("pid")]

    @staticmethod
    def pid_at_work(journal: Path) -> int:
        """Of the job that began last."""
        return int(wait_until(lambda: re.findall(r"pid (\d+) \n", journal.read_text() if journal.exists() else ""))[-1])

    def test_a_process_that_a_job_left_as_it_was_takes_the_next_one(
        self, executor: LocalExecutor, workspace: Workspace, journal: Path
    ) -> None:
        first, second, third = self.pids(
            executor, journal, {"act": "pid"}, {"act": "refuse"}, {"act": "pid"}, {"act": "state", "label": "nothing"}
        )
        assert first == second == third
        logs = [path.read_text() for path in workspace.job_log("0" * 32).parent.glob("*.log")]
        assert [log.count("probe at work") for log in logs] == [1] * 5

    @pytest.mark.parametrize(
        "act",
        [
            *({"act": act} for act in ("bug", "memory", "disk", "thread", "daemon", "exit")),
            *(
                {"act": "state", "label": what}
                for what in ("folder", "umask", "environment", "signal handler", "alarm", "open files")
            ),
        ],
        ids=lambda act: act.get("label", act["act"]),
    )
    def test_a_process_that_a_job_did_not_leave_as_it_was_takes_no_other(
        self, executor: LocalExecutor, journal: Path, act: dict[str, str]
    ) -> None:
        before, after = self.pids(executor, journal, {"act": "pid"}, act)
        assert before != after
        assert process_is_gone(before)

    def test_a_child_in_a_session_of_its_own_is_gone_when_the_end_is_told(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        executor.start(self.job(journal, act="daemon"))
        self.endings(executor, 1)
        child = int(journal.read_text().split("child ")[1].split()[0])
        assert process_is_gone(child)

    def test_a_process_is_replaced_after_a_number_of_jobs_when_it_grew_and_when_it_idles(
        self, workspace: Workspace, probe_package: Path, journal: Path
    ) -> None:
        for policy in (WorkerPolicy(jobs=1), WorkerPolicy(grown_bytes=-1), WorkerPolicy(idle_seconds=0.0)):
            executor = LocalExecutor(workspace, slots=1, policy=policy)
            first, second = self.pids(executor, journal, {"act": "pid"})[-2:]
            executor.close()
            assert first != second
            assert process_is_gone(first)

    def test_a_worker_that_was_stopped_while_it_idled_is_given_no_job(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        (stopped,) = self.pids(executor, journal)
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: is_stopped(stopped))
        after = self.pids(executor, journal)[-1]
        assert after != stopped
        assert process_is_gone(stopped)

    def test_a_job_that_is_handed_to_a_worker_just_stopped_is_taken_back_for_another_try(
        self, executor: LocalExecutor, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (stopped,) = self.pids(executor, journal)
        give = WorkerProcess.give

        def stop_and_give(worker: WorkerProcess, job: Job, job_seconds: float | None) -> None:
            os.kill(stopped, signal.SIGSTOP)
            wait_until(lambda: is_stopped(stopped))
            give(worker, job, job_seconds)

        monkeypatch.setattr(WorkerProcess, "give", stop_and_give)
        job = self.job(journal)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Hindered)
        assert (ending.code, ending.message) == ("WORKER_LOST", "the worker process was stopped before it took the job")
        assert process_is_gone(stopped)
        assert executor.free_slots() == 2

    def test_a_stopped_worker_ends_when_its_job_is_cancelled(self, executor: LocalExecutor, journal: Path) -> None:
        job = self.job(journal, act="pid", seconds=ENDLESS_S)
        executor.start(job)
        pid = self.pid_at_work(journal)
        os.kill(pid, signal.SIGSTOP)
        executor.cancel(job.uid)
        assert self.endings(executor, 1)[0] == [Cancelled(job.uid, 1)]
        assert process_is_gone(pid)

    def test_a_stopped_process_of_an_earlier_attempt_is_ended_and_never_publishes(
        self, workspace: Workspace, probe_package: Path, journal: Path
    ) -> None:
        job = self.job(journal, act="pid", seconds=1.0)
        first = LocalExecutor(workspace, slots=1)
        first.start(job)
        pid = self.pid_at_work(journal)
        os.kill(pid, signal.SIGSTOP)
        second = LocalExecutor(workspace, slots=1)
        again = msgspec.structs.replace(job, attempts=2)
        second.start(again)
        assert self.endings(second, 1)[0] == [Succeeded(job.uid, 2, [])]
        assert process_is_gone(pid)
        written = sorted((path.name, path.stat().st_mtime_ns) for path in workspace.job_folder(job.uid).iterdir())
        assert isinstance(self.endings(first, 1)[0][0], Crashed)
        assert written == sorted(
            (path.name, path.stat().st_mtime_ns) for path in workspace.job_folder(job.uid).iterdir()
        )
        first.close()
        second.close()

    def test_a_job_whose_fork_server_is_killed_is_hindered_and_others_run(
        self, executor: LocalExecutor, journal: Path
    ) -> None:
        job = self.job(journal, act="pid", seconds=ENDLESS_S)
        executor.start(job)
        pid = self.pid_at_work(journal)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Hindered)
        assert ending.code == "WORKER_LOST"
        wait_until(lambda: process_is_gone(pid))  # it is killed, but on a busy machine takes a while to die
        quick = self.job(journal)
        executor.start(quick)
        assert self.endings(executor, 1)[0] == [Succeeded(quick.uid, 1, [])]

    def test_memory_beyond_the_workers_limit_fails_the_job_and_not_the_machine(
        self, workspace: Workspace, probe_package: Path, journal: Path
    ) -> None:
        executor = LocalExecutor(workspace, slots=1, policy=WorkerPolicy(memory_bytes=2**30))
        job = self.job(journal, act="allocate")
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        executor.close()
        assert isinstance(ending, Failed)
        assert ending.code == "OUT_OF_MEMORY"

    def test_a_job_and_all_it_starts_stand_back_as_far_as_the_settings_say(
        self, workspace: Workspace, probe_package: Path, journal: Path
    ) -> None:
        executor = ExecutorSettings(job_niceness=7).new_executor(workspace, 1, None)
        executor.start(self.job(journal, act="child", seconds=ENDLESS_S))
        wait_until(lambda: journal.exists() and "child " in journal.read_text())
        (child,) = (int(line.split()[1]) for line in journal.read_text().splitlines() if line.startswith("child"))
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, child) == min(own + 7, 19)
        executor.close()

    def test_at_least_one_slot_is_needed(self, workspace: Workspace) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            LocalExecutor(workspace, slots=0)
