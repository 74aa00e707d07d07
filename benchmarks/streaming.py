"""A job in slabs beside the same job with whole volumes: memory over time, and time a voxel, at several depths.

    python -m benchmarks.streaming [SLICES ...]

Makes a CT series of as many slices of 512 x 512 as the largest number says (default 500 1000 2000; 16000 are 8 GiB) and
runs `3dblur` on its first SLICES, each job in a process of its own: in slabs (DLP_LAB_MEMORY_SHARE=0) and, where the
volumes take no more than half of the free memory, whole. Printed are

* the most memory that the process had (`VmHWM`), with what it has after its imports, and the memory over time in
  tenths of the job, from `VmRSS`;
* wall time and processor time a voxel, and that of copying the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
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


def run_one(root: Path, share: str) -> dict[str, object]:
    ran = subprocess.run(
        [sys.executable, "-c", _JOB, str(root)],
        capture_output=True,
        env={**os.environ, SHARE_VARIABLE: share},
        check=True,
    )
    return json.loads(ran.stdout)


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
    return " ".join(f"{max(part):4}" for part in parts if part)


def measure(made: Path, slices: int, files: list[Path]) -> None:
    root = made / "root"
    (root / "source").mkdir(parents=True)
    for path in files[:slices]:
        os.link(path, root / "source" / path.name)
    voxels = slices * ROWS * COLUMNS
    wall, cpu = copied(files[:slices], made / "copy")
    shutil.rmtree(made / "copy")
    print(f"{slices} slices, {voxels * 2 / 2**30:.2f} GiB of int16")
    print(f"  copy   {wall / voxels * 1e9:6.2f} ns a voxel, processor {cpu / voxels * 1e9:6.2f}")
    runs = {"slabs": "0"}
    if voxels * BYTES_OF_WHOLE_VOLUMES <= free_memory_bytes() / 2:
        runs["whole"] = "1"
    for name, share in runs.items():
        ran = run_one(root, share)
        shutil.rmtree(root / DEFAULT_OUTPUT)
        print(
            f"  {name:<6} {ran['wall'] / voxels * 1e9:6.2f} ns a voxel, processor {ran['cpu'] / voxels * 1e9:6.2f}; "
            f"most {ran['most']} MiB, {ran['imports']} of them after the imports; in tenths of the job: "
            f"{tenths(ran['trace'])}"
        )
    shutil.rmtree(root)


def main(depths: list[int]) -> int:
    """Measure all depths, the smallest first."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        series = write_scanner_series(made / "series", max(depths))
        for slices in sorted(depths):
            measure(made, slices, series.files)
    return 0


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]] or [500, 1000, 2000]))
