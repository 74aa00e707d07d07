"""Time of many jobs over the number of workers: in inverse proportion, for jobs that compute up to the cores."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.dask_scaling import new_job, ready, run_all
from benchmarks.growth.curve import Curve, Growth, Law
from benchmarks.poison import probes_installed
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

WAIT_S = 0.25


def measure(folder: Path, is_short: bool) -> Growth:
    """Smallest jobs, and jobs that only wait, by 1, 2, 4, 8 processes of the local executor; the best of the rounds."""
    workers, jobs, waits, rounds = ([1, 2], 4, 2, 1) if is_short else ([1, 2, 4, 8], 48, 16, 3)
    cores = len(os.sched_getaffinity(0))
    root, site = folder / "root", folder / "site"
    site.mkdir()
    write_phantom_series(root / "case")
    workspace = Workspace(root)
    workspace.create()
    computing, resting = [], []
    with probes_installed(site):
        for slots in workers:
            with ready(ExecutorSettings(), workspace, slots) as executor:
                took = min(run_all(executor, [new_job() for _ in range(jobs)]) for _ in range(rounds))
                computing.append((slots, 1e3 * took / jobs))
                took = run_all(executor, [new_job(WAIT_S) for _ in range(waits)])
                resting.append((slots, 1e3 * took / waits))
    curves = [
        Curve("3dblur of a small phantom", computing, Law("1 / min(workers, cores)", lambda n: (1 / min(n, cores),))),
        Curve(f"jobs that wait {WAIT_S:g} s", resting, Law("1 / workers", lambda n: (1 / n,))),
    ]
    return Growth(f"local executor, {cores} cores", "workers", "wall time a job, ms", curves)
