"""Jobs that harm their process, among others that must not notice.

    python -m benchmarks.poison [--innocent 100] [--seconds 20]

One of each poison is put among INNOCENT jobs that do nothing, in one queue with two slots and a limit of SECONDS for a
job. All innocent ones must succeed, and each poison end with its named reason, within the limit and 5 s more for each
of the attempts it gets. The memory poison meets a limit of 1 GiB for a worker, the fork storm stops at 100 processes.

Prints a line for each poison; exit status 1 if one is missed. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.worker_policy import WorkerPolicy
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series
from tests.probe_package import install_probe_package

POISONS = {
    "segfault": ("WORKER_CRASHED", "SIGSEGV"),
    "abort": ("WORKER_CRASHED", "SIGABRT"),
    "exit": ("WORKER_CRASHED", "exit status 3"),
    "allocate": ("OUT_OF_MEMORY", "memory"),
    "spin": ("TIMED_OUT", "longer than"),
    "deadlock": ("TIMED_OUT", "longer than"),
    "stop": ("TIMED_OUT", "longer than"),
    "fork-storm": ("TIMED_OUT", "longer than"),
    "print-much": ("INTERNAL", "ValueError"),
}
SECONDS_MORE = 5.0
_MEBIBYTES_PRINTED = 1024


@contextlib.contextmanager
def probes_installed(site: Path) -> Iterator[None]:
    """The task `probe`, here and in the workers."""
    install_probe_package(site)
    before = os.environ.get("PYTHONPATH")
    sys.path.append(str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [before, os.getcwd(), str(site)]))
    try:
        yield
    finally:
        sys.path.remove(str(site))


def submit_all(service: JobService, innocent: int) -> tuple[dict[str, str], list[str]]:
    """Poisons evenly among innocent jobs: uids of both."""
    poisons: dict[str, str] = {}
    innocents: list[str] = []
    names = list(POISONS)
    for number in range(innocent):
        innocents.append(service.submit(JobRequest(task="probe", input_dir="case")).uid)
        while len(poisons) < len(names) * (number + 1) // innocent:
            name = names[len(poisons)]
            params = {"act": name, "seconds": _MEBIBYTES_PRINTED if name == "print-much" else 0}
            poisons[name] = service.submit(JobRequest(task="probe", input_dir="case", params=params)).uid
    return poisons, innocents


def wait_for_all(service: JobService, uids: list[str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not all(service.get(uid).ended for uid in uids):
        time.sleep(0.2)


def seconds_of_last_attempt(job: Job) -> float:
    if job.started_at is None or job.ended_at is None:
        return float("inf")
    return (datetime.fromisoformat(job.ended_at) - datetime.fromisoformat(job.started_at)).total_seconds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--innocent", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="dlp-lab-poison-") as folder:
        root, site = Path(folder, "root"), Path(folder, "site")
        site.mkdir()
        write_phantom_series(root / "case")
        workspace = Workspace(root)
        with probes_installed(site):
            workspace.create()
            executor = LocalExecutor(workspace, 2, asked.seconds, WorkerPolicy(memory_bytes=2**30))
            service = JobService(workspace, executor=executor)
            try:
                poisons, innocents = submit_all(service, asked.innocent)
                wait_for_all(service, [*poisons.values(), *innocents], 60 + asked.innocent + 12 * asked.seconds)
                for name, uid in poisons.items():
                    job, seconds = service.get(uid), seconds_of_last_attempt(service.get(uid))
                    code, words = POISONS[name]
                    ok = job.error_code == code and words in job.message and seconds <= asked.seconds + SECONDS_MORE
                    missed += not ok
                    print(f"{'ok  ' if ok else 'MISS'} {name:11} {seconds:6.1f} s  {job.state} {job.error_code}: "
                          f"{job.message}")  # fmt: skip
                succeeded = sum(service.get(uid).state == "succeeded" for uid in innocents)
                missed += succeeded != asked.innocent
                print(f"{'ok  ' if succeeded == asked.innocent else 'MISS'} {succeeded} of {asked.innocent} innocent")
            finally:
                service.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
