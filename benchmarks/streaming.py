"""A job in slabs beside the same job with whole volumes: memory over time, and time a voxel, at several depths.

    python -m benchmarks.streaming [SLICES ...] [--short]

Makes a CT series of as many slices of 512 x 512 as the largest number says (default 500 1000 2000; 16000 are 8 GiB) and
runs `3dblur` on its first SLICES, each job in a process of its own: in slabs (DLP_LAB_MEMORY_SHARE=0) and, where the
volumes take no more than half of the free memory, whole. Printed are

* the most memory that the process had (`VmHWM`), with what it has after its imports, and the memory over time in
  tenths of the job, from `VmRSS`;
* wall time and processor time a voxel, and that of copying the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest import Asked
from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
from benchmarks.tables import Cell, Table
from dlp_lab.jobs.memory_share import SHARE_VARIABLE, free_memory_bytes
from dlp_lab.store.workspace import DEFAULT_OUTPUT

BYTES_OF_WHOLE_VOLUMES = 6
TENTHS = 10

_JOB = """
import json, sys, threading, time
from pathlib import Path
import scipy.ndimage
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.store.workspace import Workspace

compiled_passes()

def mib(name):
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith(name))

imports, trace, ended = mib("VmRSS:"), [], threading.Event()

def watch():
    while not ended.wait(0.05):
        trace.append(mib("VmRSS:"))

watcher = threading.Thread(target=watch)
watcher.start()
workspace = Workspace(Path(sys.argv[1]))
workspace.create()
job = Job(uid="1" * 32, task="3dblur", input_dir="source", params={"sigma_mm": 1.5}, keep_hdf5=False,
          state="running", submitted_at="")
wall, cpu = time.perf_counter(), time.process_time()
run_job(workspace, job, lambda fraction, message: None, threads=2)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
ended.set()
watcher.join()
print(json.dumps({"wall": wall, "cpu": cpu, "imports": imports, "most": mib("VmHWM:"), "trace": trace}))
"""


class Ran(NamedTuple):
    """A job: its seconds by the clock and of processors, and MiB after the imports, at most, and over time."""

    wall: float
    cpu: float
    imports: int
    most: int
    trace: list[int]


def run_one(root: Path, share: str) -> Ran:
    """A job in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", _JOB, str(root)],
        capture_output=True,
        env={**os.environ, SHARE_VARIABLE: share},
        check=True,
    )
    return Ran(**json.loads(ran.stdout))


def copied(files: list[Path], target: Path) -> tuple[float, float]:
    """Seconds and processor seconds of copying the files, as the result is written: flushed to the disk."""
    target.mkdir()
    wall, cpu = time.perf_counter(), time.process_time()
    for path in files:
        with open(target / path.name, "xb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - wall, time.process_time() - cpu


def tenths(trace: list[int]) -> str:
    """The greatest memory in each tenth of a job."""
    parts = [trace[len(trace) * n // TENTHS : len(trace) * (n + 1) // TENTHS] for n in range(TENTHS)]
    return " ".join(str(max(part)) for part in parts if part)


def measure(made: Path, slices: int, files: list[Path]) -> list[Sequence[Cell]]:
    """The rows of one depth."""
    root = made / "root"
    (root / "source").mkdir(parents=True)
    for path in files[:slices]:
        os.link(path, root / "source" / path.name)
    voxels = slices * ROWS * COLUMNS
    wall, cpu = copied(files[:slices], made / "copy")
    shutil.rmtree(made / "copy")
    copy_ns = wall / voxels * 1e9
    rows: list[Sequence[Cell]] = [
        (f"{slices} slices: floor, a copy", copy_ns, 1.0, cpu / voxels * 1e9, None, None, None)
    ]
    runs = {"slabs": "0"}
    if voxels * BYTES_OF_WHOLE_VOLUMES <= free_memory_bytes() / 2:
        runs["whole"] = "1"
    for name, share in runs.items():
        ran = run_one(root, share)
        shutil.rmtree(root / DEFAULT_OUTPUT)
        wall_ns, cpu_ns = ran.wall / voxels * 1e9, ran.cpu / voxels * 1e9
        times = wall_ns, wall_ns / copy_ns, cpu_ns
        rows.append((f"{slices} slices: {name}", *times, ran.most, ran.imports, tenths(ran.trace)))
    shutil.rmtree(root)
    return rows


def main() -> int:
    """Measure all depths, the smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slices", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--short", action="store_true", help="12 slices: whether it runs at all")
    asked = parser.parse_args()
    depths = [12] if asked.short else sorted(asked.slices)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        series = write_scanner_series(made / "series", max(depths))
        rows = [row for slices in depths for row in measure(made, slices, series.files)]
    Table(
        "3dblur in slabs and on whole volumes, slices of 512 x 512 int16 on the disk",
        (
            *("", "wall, ns a voxel", "x the copy", "processor, ns a voxel", "most memory, MiB"),
            *("after the imports, MiB", "in tenths of the job, MiB"),
        ),
        rows,
    ).print().write(Asked(0, asked.short).results / "streaming.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
