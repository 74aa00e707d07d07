"""What Dask costs a job, and how the jobs of a cluster grow with its workers, beside processes of this machine.

    python -m benchmarks.dask_scaling [--workers 1 2 4 8] [--jobs 20] [--many 1000]

All on this machine: a scheduler, and workers of one thread each. Four figures for each number of workers, and for as
many slots of the local executor:

* alone: one smallest job after the other, from `start` until its end is told (median).
* smallest jobs/s: the smallest jobs there are, as many at once as there are workers. The processors are the limit.
* waiting jobs/s: jobs that wait 1 s each and compute next to nothing. The executor and the scheduler are the limit, as
  they are with workers on many machines; ideal is one job a second for each worker.

Then MANY smallest jobs on the largest cluster: how much memory the scheduler has afterwards, and how much CPU time a
job takes of the scheduler and of the server. From that follows how many workers one scheduler can keep busy.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.dask_processes import DaskProcesses
from benchmarks.served import percentile
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Progress, Succeeded
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series
from tests.probe_package import install_probe_package

WAITING_SECONDS = 1.0


def new_job(seconds: float | None = None) -> Job:
    """The smallest job; or one that waits, and says so."""
    smallest = seconds is None
    return Job(
        uid=secrets.token_hex(16),
        task="3dblur" if smallest else "probe",
        input_dir="case",
        params={} if smallest else {"seconds": seconds},
        keep_hdf5=False,
        state="running",
        submitted_at="",
        attempts=1,
    )


def run_all(executor: Executor, jobs: list[Job]) -> float:
    """Seconds until all have succeeded, as many at once as there are slots."""
    start = time.monotonic()
    waiting, at_work = list(reversed(jobs)), 0
    while waiting or at_work:
        while waiting and executor.free_slots():
            executor.start(waiting.pop())
            at_work += 1
        for update in executor.updates(1):
            if not isinstance(update, Progress):
                if not isinstance(update, Succeeded):
                    raise SystemExit(f"a job has not succeeded: {update}")
                at_work -= 1
    return time.monotonic() - start


@contextlib.contextmanager
def ready(settings: ExecutorSettings, workspace: Workspace, slots: int) -> Iterator[Executor]:
    """An executor with all its slots, each of which has run a job."""
    executor = settings.new_executor(workspace, slots, None)
    executor.prepare()
    while executor.free_slots() < slots:
        time.sleep(0.05)
    run_all(executor, [new_job() for _ in range(2 * slots)])
    try:
        yield executor
    finally:
        executor.close()


def measure(executor: Executor, slots: int, jobs: int) -> tuple[float, float, float]:
    """Milliseconds of a job alone; smallest jobs a second; waiting jobs a second."""
    alone = percentile([run_all(executor, [new_job()]) for _ in range(jobs)], 50)
    smallest = jobs * slots / run_all(executor, [new_job() for _ in range(jobs * slots)])
    waiting = 4 * slots / run_all(executor, [new_job(WAITING_SECONDS) for _ in range(4 * slots)])
    return alone * 1000, smallest, waiting


def print_row(where: str, slots: int, figures: tuple[float, float, float]) -> None:
    alone, smallest, waiting = figures
    print(f"{where:<6}{slots:>8}{alone:>12.0f}{smallest:>16.1f}{waiting:>16.2f}{waiting / slots:>10.0%}", flush=True)


def measure_many(executor: Executor, cluster: DaskProcesses, many: int) -> None:
    """Print what many jobs cost the scheduler and the server."""
    before, busy, own = cluster.scheduler_bytes(), cluster.scheduler_seconds(), time.process_time()
    run_all(executor, [new_job() for _ in range(many)])
    grown = (cluster.scheduler_bytes() - before) / 2**20
    scheduler, server = (cluster.scheduler_seconds() - busy) / many, (time.process_time() - own) / many
    print(
        f"\n{many} smallest jobs, one after the other taken by {len(cluster.nannies)} workers:\n"
        f"  scheduler's memory   {before / 2**20:.0f} MB, grown by {grown:.1f} MB\n"
        f"  CPU time of a job    {scheduler * 1000:.1f} ms of the scheduler, {server * 1000:.1f} ms of the server\n"
        f"  at most about {1 / max(scheduler, server):.0f} jobs/s with one scheduler, however many workers;\n"
        f"  with jobs of 10 s it keeps about {10 / max(scheduler, server):.0f} workers busy"
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--many", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        workspace = Workspace(_written(Path(made)))
        print(f"{os.cpu_count()} processors; load {os.getloadavg()[0]:.1f} before the start\n")
        print(f"{'':<6}{'workers':>8}{'alone, ms':>12}{'smallest/s':>16}{'waiting/s':>16}{'of ideal':>10}")
        for slots in options.workers:
            with ready(ExecutorSettings(), workspace, slots) as executor:
                print_row("local", slots, measure(executor, slots, options.jobs))
        for slots in options.workers:
            with DaskProcesses(Path(made, "dask")) as cluster:
                for _ in range(slots):
                    cluster.start_worker()
                settings = ExecutorSettings(executor="dask", dask_scheduler=cluster.address)
                with ready(settings, workspace, slots) as executor:
                    print_row("dask", slots, measure(executor, slots, options.jobs))
                    if slots == max(options.workers):
                        measure_many(executor, cluster, options.many)
    return 0


def _written(folder: Path) -> Path:
    """A root with a case, and the package whose task waits, for this process and those it starts."""
    site = folder / "site"
    site.mkdir()
    install_probe_package(site)
    sys.path.append(str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), str(site)])
    write_phantom_series(folder / "root" / "case")
    Workspace(folder / "root").create()
    return folder / "root"


if __name__ == "__main__":
    sys.exit(main())
