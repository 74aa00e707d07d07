"""What a case of a cohort costs beside its task, with and without a report, beside papermill as it is used today.

    python -m benchmarks.cohort [--cases 1000] [--subset 20] [--report-cases 100] [--dask-cases 200]

Small cases (the phantom, 12 x 32 x 40) are made on the fly. The time of the task itself is that of the jobs as their
records have it. Then:

    cohort                 `run_cohort` on all cases, again with nothing to do, and with one case changed
    forked kernels         reports of some of them, `notebooks/batch/case-report.ipynb` and a notebook of one cell, as
                           the cohort makes them: executed, kept, and made a page
    papermill in a shell   `papermill in.ipynb out.ipynb -p ...` for each of a subset, one after the other
    papermill + joblib     `papermill.execute_notebook` in as many processes as the cohort has kernels
    one warm kernel        papermill on one kernel that is kept, with `%reset -f` between the cases: the time to beat,
                           though what one notebook imports, patches or opens is there for the next
    on Dask                `run_cohort` on a Dask cluster of this machine with one worker, and with two; what they gain
                           is bounded by the processors, which the scheduler and this process use too

The peers execute the same notebook for results that are there already, and make no page of it. Prints ms for each
case: wall clock, and processor time, which a busy machine changes little, of this process and of the kernels and peers
that it started; the workers of jobs, which belong to the fork server, are not in it, so it is what a cohort costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import papermill
import pydicom
from jupyter_client.manager import start_new_kernel

import dlp_lab as dlp
from dlp_lab.cohort.door import Cohort
from dlp_lab.jobs.handle import job_service
from dlp_lab.jobs.slots import default_slots
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

REPORT = Path(__file__).parents[1] / "notebooks/batch/case-report.ipynb"


def processor_seconds() -> float:
    """Of this process and of those it waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def measured(name: str, cases: int, act: Callable[[], Any]) -> Any:
    """Do something, and print what it took for each case."""
    began, before = time.perf_counter(), processor_seconds()
    result = act()
    wall, processor = time.perf_counter() - began, processor_seconds() - before
    print(f"{name:<42} {cases:>5} {1e3 * wall / cases:>9.1f} {1e3 * processor / cases:>9.1f}", flush=True)
    return result


def write_cases(root: Path, count: int) -> None:
    """So many small series, each with values of its own."""
    for number in range(count):
        write_phantom_series(
            *(root / f"patient-{number:05}",), modality="MR", shape=(12, 32, 40), seed=number, orientation="axial"
        )


def parameters_of(root: Path, cohort: Cohort) -> list[dict[str, Any]]:
    """What the report of each case gets."""
    service = job_service(Workspace(root))
    return [
        {"case_id": record.case_id, "root": os.fspath(root), **msgspec.to_builtins(service.get(record.job))}
        for record in cohort.records
        if record.job
    ]


def in_a_shell(notebook: Path, root: Path, parameters: list[dict[str, Any]]) -> None:
    for number, case in enumerate(parameters):
        (root / "parameters.yaml").write_bytes(msgspec.json.encode(case))  # JSON is YAML
        command = [
            sys.executable,
            "-m",
            "papermill",
            notebook,
            root / f"{number}.ipynb",
            "-f",
            root / "parameters.yaml",
        ]
        subprocess.run([*command, "--no-progress-bar"], check=True, capture_output=True)


def with_joblib(notebook: Path, root: Path, parameters: list[dict[str, Any]]) -> None:
    from joblib import Parallel, delayed

    Parallel(n_jobs=default_slots())(
        delayed(papermill.execute_notebook)(notebook, root / f"{number}.ipynb", case, progress_bar=False)
        for number, case in enumerate(parameters)
    )


def on_one_kernel(notebook: Path, root: Path, parameters: list[dict[str, Any]]) -> None:
    manager, client = start_new_kernel(kernel_name="python3")
    client.stop_channels()
    try:
        for number, case in enumerate(parameters):
            papermill.execute_notebook(
                _reset_first(notebook, root), root / f"{number}.ipynb", case, progress_bar=False, km=manager
            )
    finally:
        manager.shutdown_kernel(now=True)


def _reset_first(notebook: Path, root: Path) -> Path:
    path = root / f"reset-{notebook.name}"
    if not path.exists():
        content = nbformat.read(notebook, as_version=4)
        content.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        nbformat.write(content, path)
    return path


def one_cell(root: Path) -> Path:
    """A notebook that does nearly nothing, so that what is measured is all but its work."""
    content = nbformat.read(REPORT, as_version=4)
    content.cells = [content.cells[0], nbformat.v4.new_code_cell("print(case_id)")]
    nbformat.write(content, root / "one-cell.ipynb")
    return root / "one-cell.ipynb"


PEERS: dict[str, Callable[[Path, Path, list[dict[str, Any]]], None]] = {
    "one warm kernel, %reset": on_one_kernel,
    "papermill + joblib": with_joblib,
    "papermill in a shell": in_a_shell,
}


def change_one(root: Path) -> None:
    """Other pixels in one slice of one case."""
    path = sorted((root / "patient-00003").iterdir())[0]
    ds = pydicom.dcmread(path)
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(path)


def on_dask(root: Path, cases: int, workers: int) -> None:
    """The first cases of the cohort on a cluster of so many workers."""
    from distributed import LocalCluster

    table = root / f"dask-{workers}.csv"
    lines = (root / "out/cases.csv").read_text().splitlines()[: 1 + cases]
    table.write_text("\n".join(lines) + "\n")
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
    ) as cluster:
        os.environ["DLP_LAB_DASK_SCHEDULER"] = cluster.scheduler_address
        run = partial(dlp.run_cohort, task="3dblur", executor="dask", root=root, progress=False)
        warm = root / "patient-00000"
        run(warm, params={"sigma_mm": 1.0}, out=root / f"dask-warm-{workers}")
        told = f"on Dask, {workers} workers" if workers > 1 else "on Dask, 1 worker"
        measured(told, cases, partial(run, table, params={"sigma_mm": 2.0}, out=root / f"dask-{workers}"))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--report-cases", type=int, default=100)
    parser.add_argument("--subset", type=int, default=20)
    parser.add_argument("--dask-cases", type=int, default=200)
    arguments = parser.parse_args()
    kernels = default_slots()
    with tempfile.TemporaryDirectory(prefix="dlp-") as temporary:
        root = Path(temporary)
        write_cases(root, arguments.cases)
        options: dict[str, Any] = {
            "params": {"sigma_mm": 2.0},
            "root": root,
            "progress": False,
            "report_slots": kernels,
        }

        print(f"{'ms for each case':<42} {'cases':>5} {'wall':>9} {'processor':>9}")
        run = partial(dlp.run_cohort, task="3dblur", **options)
        run(root / "patient-00000", out=root / "warm")
        cohort = measured("cohort", arguments.cases, lambda: run(root, out=root / "out"))
        task = sum(record.seconds or 0 for record in cohort.records) / len(cohort.records)
        print(f"{'    of it the jobs, by their records':<42} {len(cohort.records):>5} {1e3 * task:>9.1f}")
        measured("cohort, nothing to do", arguments.cases, lambda: run(root, out=root / "out"))
        change_one(root)
        again = measured("cohort, one case changed", arguments.cases, lambda: run(root, out=root / "out"))
        print(f"    which executed {again.jobs} of {len(again.records)}")

        table = root / "some.csv"
        lines = (root / "out/cases.csv").read_text().splitlines()[: 1 + arguments.report_cases]
        table.write_text("\n".join(lines) + "\n")
        some = run(table, out=root / "some")
        few = parameters_of(root, some)[: arguments.subset]
        for kind, notebook in (("case report", REPORT), ("one cell", one_cell(root))):
            reports = partial(run, table, out=root / "some", notebook=notebook)
            measured(f"{kind}: {kernels} forked kernels at once", len(some.records), reports)
            for peer, execute in PEERS.items():
                measured(f"{kind}: {peer}", len(few), partial(execute, notebook, root, few))
        job_service(Workspace(root)).close()  # so that the cluster starts the jobs from now on
        for workers in (1, 2):
            on_dask(root, arguments.dask_cases, workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
