"""The executor on real Dask clusters, on this machine."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pydicom
import pytest
from distributed import LocalCluster

from benchmarks.dask_processes import DaskProcesses, worker_of
from dlp_lab.jobs import dask_executor
from dlp_lab.jobs.dask_executor import DaskExecutor
from dlp_lab.jobs.dask_settings import DaskSettings
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.updates import Cancelled, Failed, Hindered, Progress, Succeeded
from dlp_lab.jobs.worker_policy import DEFAULT_NICENESS
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import all_tasks
from tests.contracts.executor_contract import ExecutorContract
from tests.jobs.listening import listening_addresses
from tests.jobs.waiting import process_is_gone, wait_for_end
from tests.patience import ENDLESS_S, wait_until

NewExecutor = Callable[..., DaskExecutor]


@pytest.fixture(scope="module")
def cluster(probe_package: Path) -> Iterator[LocalCluster]:
    """Two workers, in processes of their own, of one thread each."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster


@pytest.fixture
def new_executor(workspace: Workspace, probe_package: Path) -> Iterator[NewExecutor]:
    executors: list[DaskExecutor] = []

    def make(address: str, slots: int = 2, job_seconds: float | None = None) -> DaskExecutor:
        executor = DaskExecutor(workspace, DaskSettings(address), 1, job_seconds)
        executors.append(executor)
        executor.prepare()
        wait_until(lambda: executor.free_slots() == slots)
        executor.updates(0)  # what woke it
        return executor

    yield make
    for executor in executors:
        executor.close()


GPU_MODULE = """
from typing import ClassVar

from dlp_lab_probe import Probe


class OnGpu(Probe, frozen=True):
    "Needs a worker that has a graphics card."

    name: ClassVar[str] = "gpu"
    resources: ClassVar[dict[str, float]] = {"GPU": 1}


class Greedy(Probe, frozen=True):
    "Says what it needs in a way that nobody understands."

    name: ClassVar[str] = "greedy"
    resources: ClassVar = {"GPU": "all"}
"""


@pytest.fixture
def gpu_package(probe_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with tasks that need resources, installed here and on workers that are started afterwards."""
    site = tmp_path / "gpu-site"
    metadata = site / "dlp_lab_gpu-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "dlp_lab_gpu.py").write_text(GPU_MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dlp-lab-gpu\nVersion: 1.0\n")
    entries = "[dlp_lab.tasks]\ngpu = dlp_lab_gpu:OnGpu\ngreedy = dlp_lab_gpu:Greedy\n"
    (metadata / "entry_points.txt").write_text(entries)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(site)]))
    monkeypatch.syspath_prepend(str(site))
    all_tasks.cache_clear()
    yield
    all_tasks.cache_clear()


@pytest.fixture
def processes(tmp_path: Path, probe_package: Path) -> Iterator[DaskProcesses]:
    with DaskProcesses(tmp_path / "dask") as processes:
        yield processes


@pytest.fixture(scope="module")
def shared_processes(tmp_path_factory: pytest.TempPathFactory, probe_package: Path) -> Iterator[DaskProcesses]:
    """A cluster with one worker of one thread, for tests that leave it so."""
    with DaskProcesses(tmp_path_factory.mktemp("dask")) as processes:
        processes.start_worker()
        yield processes


def first_child(journal: Path) -> int:
    """Id of the process that a job has started."""
    wait_until(lambda: journal.exists() and "child" in journal.read_text())
    return int(journal.read_text().split("child ")[1].split()[0])


def nanny_of(pid: int, processes: DaskProcesses) -> subprocess.Popen[bytes]:
    """The nanny below which a process runs."""
    above = {process.pid for process in psutil.Process(pid).parents()}
    return next(nanny for nanny in processes.nannies if nanny.pid in above)


def started(journal: Path) -> int:
    return journal.read_text().count("start") if journal.exists() else 0


def without_times(path: Path) -> bytes:
    """A file of a result, with zeros for the moment at which it was made."""
    content = path.read_bytes()
    if path.name == "job.json":
        return re.sub(rb'"made_at": "[^"]+"', b"", content)
    if path.suffix == ".dcm":
        header = pydicom.dcmread(path)
        times = [header.InstanceCreationTime, header.SeriesTime, header.ContentTime]
        times.append(header.ContributingEquipmentSequence[-1].ContributionDateTime)
        for moment in times:
            content = content.replace(str(moment).encode(), b"0" * len(str(moment)))
    return content


def request(journal: Path, **params: object) -> JobRequest:
    return JobRequest(task="probe", input_dir="dicom_data", params={"journal": str(journal), **params})


class TestDaskExecutor(ExecutorContract):
    processes_for_jobs_in_turn = 2  # one for each Dask worker

    @pytest.fixture
    def executor(self, new_executor: NewExecutor, cluster: LocalCluster) -> DaskExecutor:
        return new_executor(cluster.scheduler_address)

    def test_the_result_is_that_of_the_local_executor_to_the_last_byte_but_for_the_time(
        self, executor: Executor, workspace: Workspace, tmp_path: Path
    ) -> None:
        shutil.copytree(workspace.root / "dicom_data", tmp_path / "other" / "dicom_data")
        other = Workspace(tmp_path / "other")
        job = Job(
            uid="0123456789abcdef" * 2,
            task="3dblur",
            input_dir="dicom_data",
            params={"sigma_mm": 2.0},
            keep_hdf5=True,
            state="running",
            submitted_at="2024-01-02T03:04:05.678Z",
            attempts=1,
        )
        at_home = LocalExecutor(other, slots=2)
        for each in (executor, at_home):
            each.start(job)
            assert self.endings(each, 1)[0] == [Succeeded(job.uid, 1, [])]
        at_home.close()
        there, here = (sorted(folder.job_folder(job.uid).iterdir()) for folder in (workspace, other))
        assert [path.name for path in there] == [path.name for path in here]
        assert len(there) == 12
        for one, two in zip(there, here, strict=True):
            assert without_times(one) == without_times(two), one.name

    def test_what_a_worker_prints_is_in_the_jobs_log(
        self, executor: Executor, workspace: Workspace, journal: Path
    ) -> None:
        job = self.job(journal, act="bug")
        executor.start(job)
        self.endings(executor, 1)
        assert "ValueError: secret of the patient" in workspace.job_log(job.uid).read_text()

    def test_a_job_that_runs_too_long_is_stopped(
        self, new_executor: NewExecutor, cluster: LocalCluster, journal: Path
    ) -> None:
        executor = new_executor(cluster.scheduler_address, job_seconds=1.5)
        executor.start(self.job(journal, seconds=ENDLESS_S))
        (ending,), _ = self.endings(executor, 1)
        assert isinstance(ending, Failed)
        assert (ending.code, "longer than the 1.5 s" in ending.message) == ("TIMED_OUT", True)

    def test_a_job_runs_in_a_process_that_is_no_dask_worker(
        self, executor: Executor, workspace: Workspace, journal: Path
    ) -> None:
        executor.start(self.job(journal, seconds=ENDLESS_S, act="child"))
        child = psutil.Process(first_child(journal))
        assert "spawn_main" not in " ".join(child.parent().cmdline())
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, child.ppid()) == min(own + DEFAULT_NICENESS, 19)

    def test_a_cancellation_that_gets_lost_on_its_way_is_sent_again(
        self, executor: DaskExecutor, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = self.job(journal, seconds=ENDLESS_S)
        executor.start(job)
        wait_until(journal.exists)
        monkeypatch.setattr(dask_executor, "_SECONDS_BEFORE_ASKING_AGAIN", 0.5)
        connection = executor._connection
        assert connection is not None
        with monkeypatch.context() as lossy:
            lossy.setattr(connection, "cancel", lambda *attempt: None)
            executor.cancel(job.uid)
        time.sleep(0.6)
        assert all(isinstance(update, Progress) for update in executor.updates(0))
        executor.cancel(job.uid)
        assert self.endings(executor, 1)[0] == [Cancelled(job.uid, 1)]

    def test_a_new_executor_of_the_workspace_stops_what_the_one_before_left_running(
        self, executor: DaskExecutor, new_executor: NewExecutor, cluster: LocalCluster, journal: Path
    ) -> None:
        left = self.job(journal, seconds=ENDLESS_S)
        executor.start(left)
        wait_until(journal.exists)
        next_one = new_executor(cluster.scheduler_address)
        job = Job(**{name: getattr(left, name) for name in left.__struct_fields__} | {"attempts": 2})
        next_one.cancel(job.uid)
        next_one.start(job)
        wait_until(lambda: started(journal) == 2)
        next_one.cancel(job.uid)
        assert self.endings(next_one, 1)[0] == [Cancelled(job.uid, 2)]


def test_no_job_is_lost_or_run_behind_our_back_when_its_dask_worker_is_killed(
    processes: DaskProcesses, new_executor: NewExecutor, workspace: Workspace, journal: Path
) -> None:
    for _ in range(2):
        processes.start_worker()
    executor = new_executor(processes.address)
    executor.start(ExecutorContract.job(journal, seconds=ENDLESS_S, act="child"))
    killed = worker_of(nanny_of(first_child(journal), processes))
    assert killed is not None
    killed.kill()
    (ending,), _ = ExecutorContract.endings(executor, 1)
    assert isinstance(ending, Hindered)
    assert (ending.code, "was lost while the job ran" in ending.message) == ("WORKER_LOST", True)
    time.sleep(1)  # for the other worker is free, and Dask would have it run there
    assert started(journal) == 1
    journal.unlink()
    service = JobService(workspace, executor=executor)
    job = service.submit(request(journal, seconds=3.0, act="child"))
    nanny_of(first_child(journal), processes).kill()
    ended = wait_for_end(service, job.uid)
    assert (ended.state, ended.attempts, started(journal)) == ("succeeded", 2, 2)
    service.close()


def test_jobs_wait_while_there_is_no_scheduler_and_start_again_when_there_is(
    processes: DaskProcesses, workspace: Workspace, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    processes.start_worker()
    service = JobService(workspace, executor=DaskExecutor(workspace, DaskSettings(processes.address), slots=1))
    job = service.submit(request(journal, seconds=2.0))
    wait_until(journal.exists)
    processes.kill_scheduler()
    wait_until(lambda: service.get(job.uid).state == "queued")
    wait_until(lambda: f"the Dask scheduler at {processes.address} is lost" in caplog.text)
    wait_until(lambda: f"no Dask scheduler answers at {processes.address}" in caplog.text)
    trouble = f"no Dask scheduler answers at {processes.address}; jobs wait until one does"
    wait_until(lambda: service.get(job.uid).message == service.trouble() == trouble)
    processes.start_scheduler()
    processes.start_worker()
    ended = wait_for_end(service, job.uid)
    assert (ended.state, ended.attempts) == ("succeeded", 2)
    assert service.trouble() is None
    service.close()


def test_a_scheduler_that_stands_still_for_a_while_costs_no_job_an_attempt(
    shared_processes: DaskProcesses, new_executor: NewExecutor, journal: Path
) -> None:
    executor = new_executor(shared_processes.address, slots=1)
    job = ExecutorContract.job(journal, seconds=1)
    executor.start(job)
    wait_until(journal.exists)
    shared_processes.signal_scheduler(signal.SIGSTOP)
    wait_until(lambda: "end" in journal.read_text())
    assert all(isinstance(update, Progress) for update in executor.updates(0.2))
    shared_processes.signal_scheduler(signal.SIGCONT)
    assert ExecutorContract.endings(executor, 1)[0] == [Succeeded(job.uid, 1, [])]


def test_jobs_of_a_killed_server_do_not_run_on(
    shared_processes: DaskProcesses, workspace: Workspace, probe_package: Path, journal: Path
) -> None:
    program = """
import sys, time
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
params = {"journal": sys.argv[1], "act": "child", "seconds": 10000}
service = JobService(Workspace.from_environment())
service.submit(JobRequest(task="probe", input_dir="dicom_data", params=params))
time.sleep(10000)
"""
    environment = ExecutorSettings(executor="dask", dask_scheduler=shared_processes.address).to_environment()
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(journal)],
        env=os.environ | environment | {"DLP_LAB_ROOT": str(workspace.root)},
    )
    child = first_child(journal)
    server.kill()
    server.wait()
    wait_until(lambda: process_is_gone(child))


def test_workers_that_join_and_leave_bring_and_take_slots_and_get_jobs_that_need_what_they_have(
    gpu_package: None, processes: DaskProcesses, new_executor: NewExecutor, journal: Path
) -> None:
    assert {"gpu", "greedy"} & set(all_tasks()) == {"gpu"}
    processes.start_worker(threads=2)
    executor = new_executor(processes.address, slots=2)
    jobs = [ExecutorContract.job(journal, label=f"{n}", seconds=0.5) for n in range(2)]
    on_gpu = [Job(**{name: getattr(job, name) for name in job.__struct_fields__} | {"task": "gpu"}) for job in jobs]
    for job in on_gpu:
        executor.start(job)
    first, _ = executor.updates(1)
    assert isinstance(first, Progress)
    assert first.message == "waiting for a Dask worker that has GPU=1 free"
    other = ExecutorContract.job(journal, label="other")
    executor.start(other)  # is not held up
    assert ExecutorContract.endings(executor, 1)[0] == [Succeeded(other.uid, 1, [])]
    assert "start 0" not in journal.read_text()
    nanny = processes.start_worker(2, "--resources", "GPU=1")
    assert len(ExecutorContract.endings(executor, 2)[0]) == 2
    lines = [line for line in journal.read_text().splitlines() if "other" not in line]
    assert lines == ["start 0", "end 0", "start 1", "end 1"]  # one after the other, for there is one GPU
    assert executor.free_slots() == 4
    nanny.terminate()
    wait_until(lambda: executor.free_slots() == 2)


def test_a_worker_that_does_not_see_the_workspace_gets_no_jobs_and_is_named(
    shared_processes: DaskProcesses, new_executor: NewExecutor, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    executor = new_executor(shared_processes.address, slots=1)
    workspace.sharing_token.write_text("of another folder at the same path")
    nanny = shared_processes.start_worker()
    wait_until(lambda: "gets no jobs" in caplog.text)
    refusal = next(record.getMessage() for record in caplog.records if "gets no jobs" in record.getMessage())
    assert f"on {os.uname().nodename}" in refusal
    assert f"its folder {workspace.root} is another one than here; root and output must lie on" in refusal
    assert executor.free_slots() == 1
    nanny.terminate()
    nanny.wait()


def test_a_cluster_of_our_own_listens_on_this_machine_alone_and_shows_no_pages(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    before = listening_addresses()
    service = JobService(workspace, executor=DaskExecutor(workspace, DaskSettings(), slots=2))
    job = service.submit(JobRequest(task="3dblur", input_dir="dicom_data"))
    assert wait_for_end(service, job.uid).state == "succeeded"
    listening = listening_addresses() - before
    assert len(listening) >= 4
    assert {address.ip for address in listening} == {"127.0.0.1"}
    service.close()
    assert not caplog.records or max(record.levelno for record in caplog.records) <= logging.WARNING
