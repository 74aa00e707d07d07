"""What every `Executor` must do. Inherit the class and give the fixture `executor`, with exactly 2 slots."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest

from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Cancelled, Crashed, Ending, Failed, Hindered, Progress, Succeeded, Update
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import process_is_gone
from tests.patience import ENDLESS_S, wait_until


def _family(journal: Path) -> list[str]:
    """Ids of the processes that a job forked, once they are told."""
    if not journal.exists() or "child" not in (text := journal.read_text()):
        return []
    return text.split("child ")[1].split()[:2]


class ExecutorContract:
    """The tests.

    Attributes:
        processes_for_jobs_in_turn: How many processes at most run jobs that are started one after the other.
    """

    processes_for_jobs_in_turn = 1

    @pytest.fixture
    def executor(self, workspace: Workspace, probe_package: Path) -> Executor:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Path:
        return tmp_path / "journal"

    @staticmethod
    def job(journal: Path, **params: object) -> Job:
        return Job(
            uid=secrets.token_hex(16),
            task="probe",
            input_dir="dicom_data",
            params={"journal": str(journal), **params},
            keep_hdf5=False,
            state="running",
            submitted_at="2024-01-02T03:04:05.678Z",
            attempts=1,
        )

    @staticmethod
    def endings(executor: Executor, count: int) -> tuple[list[Ending], list[Update]]:
        seen: list[Update] = []

        def told() -> list[Ending]:
            seen.extend(executor.updates(0.5))
            return [update for update in seen if not isinstance(update, Progress)]

        wait_until(lambda: len(told()) >= count, told=lambda: f"only {seen} was told")
        return [update for update in seen if not isinstance(update, Progress)], seen

    def test_a_job_is_run_and_its_result_is_in_its_place_when_that_is_told(
        self, executor: Executor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert ending == Succeeded(job.uid, 1, [])
        assert (workspace.job_folder(job.uid) / "job.json").is_file()

    def test_progress_is_told_before_the_end(self, executor: Executor, journal: Path) -> None:
        executor.start(self.job(journal, seconds=1.0))
        _, seen = self.endings(executor, 1)
        fractions = [update.fraction for update in seen if isinstance(update, Progress)]
        assert len(fractions) >= 2
        assert fractions == sorted(fractions)
        assert isinstance(seen[-1], Succeeded)

    def test_a_started_job_takes_a_slot_until_its_end_is_told(self, executor: Executor, journal: Path) -> None:
        assert executor.free_slots() == 2
        executor.start(self.job(journal))
        assert executor.free_slots() == 1
        executor.start(self.job(journal))
        assert executor.free_slots() == 0
        self.endings(executor, 2)
        assert executor.free_slots() == 2

    @pytest.mark.parametrize(
        ("act", "code", "words"),
        [
            ("refuse", "TASK_RESULT_INVALID", "the probe refuses"),
            ("memory", "OUT_OF_MEMORY", "not enough memory"),
            ("bug", "INTERNAL", "an unexpected error (ValueError); see dlp-lab-output/.dlp-lab/logs/"),
            ("sys-exit", "INTERNAL", "an unexpected error (SystemExit)"),
        ],
    )
    def test_a_job_that_cannot_be_done_fails_with_its_reason_and_leaves_no_result(
        self, executor: Executor, workspace: Workspace, journal: Path, act: str, code: str, words: str
    ) -> None:
        job = self.job(journal, act=act)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Failed)
        assert ending.code == code
        assert words in ending.message
        assert "secret" not in ending.message
        assert not workspace.job_folder(job.uid).exists()

    @pytest.mark.parametrize(("act", "code"), [("disk", "DISK_FULL"), ("disk-error", "DISK_FAILED")])
    def test_a_full_or_failing_disk_is_told_as_what_a_later_attempt_may_not_meet(
        self, executor: Executor, workspace: Workspace, journal: Path, act: str, code: str
    ) -> None:
        job = self.job(journal, act=act)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Hindered)
        assert ending.code == code
        assert not workspace.job_folder(job.uid).exists()

    @pytest.mark.parametrize(("act", "words"), [("crash", "SIGKILL"), ("exit", "exit status 3")])
    def test_a_process_that_dies_is_told_as_a_crash_with_how_it_died(
        self, executor: Executor, journal: Path, act: str, words: str
    ) -> None:
        job = self.job(journal, act=act)
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Crashed)
        assert (ending.uid, ending.attempt) == (job.uid, 1)
        assert words in ending.reason

    def test_a_task_that_gives_up_is_cancelled(self, executor: Executor, journal: Path) -> None:
        job = self.job(journal, act="give-up")
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert ending == Cancelled(job.uid, 1)

    @pytest.mark.parametrize("act", ["", "stubborn"])
    def test_a_cancelled_job_ends_though_it_resists(
        self, executor: Executor, workspace: Workspace, journal: Path, act: str
    ) -> None:
        job = self.job(journal, seconds=ENDLESS_S, act=act)
        executor.start(job)
        wait_until(journal.exists)
        time.sleep(0.1)  # in which it begins to resist
        executor.cancel(job.uid)
        executor.cancel(job.uid)
        (ending,), _ = self.endings(executor, 1)
        assert ending == Cancelled(job.uid, 1)
        assert not workspace.job_folder(job.uid).exists()

    def test_what_a_cancelled_job_had_started_ends_with_it(self, executor: Executor, journal: Path) -> None:
        job = self.job(journal, seconds=ENDLESS_S, act="child")
        executor.start(job)
        wait_until(lambda: journal.exists() and "child" in journal.read_text())
        child = int(journal.read_text().split("child ")[1].split()[0])
        assert not process_is_gone(child)
        executor.cancel(job.uid)
        self.endings(executor, 1)
        wait_until(lambda: process_is_gone(child))

    def test_what_a_crashed_job_had_started_ends_with_it(self, executor: Executor, journal: Path) -> None:
        executor.start(self.job(journal, act="child-crash"))
        self.endings(executor, 1)
        child = int(journal.read_text().split("child ")[1].split()[0])
        wait_until(lambda: process_is_gone(child))

    @pytest.mark.parametrize("act", ["family", "family-crash", "family-cancel"])
    def test_whatever_a_job_forked_in_whatever_session_is_gone_when_its_end_is_told(
        self, executor: Executor, journal: Path, act: str
    ) -> None:
        job = self.job(journal, act=act.removesuffix("-cancel"), seconds=ENDLESS_S if act == "family-cancel" else 0)
        executor.start(job)
        family = [int(pid) for pid in wait_until(lambda: _family(journal))]
        if act == "family-cancel":
            executor.cancel(job.uid)
        self.endings(executor, 1)
        assert len(family) == 2
        assert [process_is_gone(pid) for pid in family] == [True, True]

    def test_what_a_task_has_loaded_is_there_for_the_next_job(self, executor: Executor, journal: Path) -> None:
        for _ in range(4):  # one after the other: on two Dask workers, two processes at most
            executor.start(self.job(journal, act="model"))
            self.endings(executor, 1)
        assert journal.read_text().count("start") == 4
        assert journal.read_text().count("loaded") <= self.processes_for_jobs_in_turn

    def test_a_thread_that_a_task_leaves_behind_does_not_hold_up_the_end(
        self, executor: Executor, journal: Path
    ) -> None:
        job = self.job(journal, act="thread")
        executor.start(job)
        (ending,), _ = self.endings(executor, 1)
        assert ending == Succeeded(job.uid, 1, [])

    def test_to_cancel_what_does_not_run_does_nothing(self, executor: Executor) -> None:
        executor.cancel("0" * 32)
        assert executor.updates(0) == []

    def test_wake_ends_the_wait_for_updates(self, executor: Executor) -> None:
        executor.wake()
        assert executor.updates(ENDLESS_S) == []

    def test_close_stops_all_jobs_and_their_ends_are_told_afterwards(self, executor: Executor, journal: Path) -> None:
        jobs = [self.job(journal, seconds=ENDLESS_S), self.job(journal, seconds=ENDLESS_S, act="stubborn")]
        for job in jobs:
            executor.start(job)
        wait_until(lambda: journal.exists() and journal.read_text().count("start") == 2)
        time.sleep(0.1)
        executor.close()
        executor.close()
        ends = [update for update in executor.updates(0) if not isinstance(update, Progress)]
        assert {ending.uid for ending in ends} == {job.uid for job in jobs}
