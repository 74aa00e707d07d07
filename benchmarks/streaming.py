"""A job in slabs beside the same job with whole volumes: memory over time, and time a voxel, at several depths.

    python -m benchmarks.streaming [SLICES ...] [--series FOLDER] [--short]

Makes a CT series of as many slices of 512 x 512 as the largest number says (default 500 1000 2000; 16000 are 8 GiB) and
runs `3dblur` on its first SLICES, each job in a process of its own: in slabs (DLP_LAB_MEMORY_SHARE=0); in slabs with
`keep_hdf5`, where the disk has room for it; and whole, by a task that does not say how far it looks, where the volumes
take no more than half of the free memory.
With --series, the series is made in that folder and stays there, and is taken from there the next time.

Told are

* the most memory that the process had (`VmHWM`), with what it has after its imports, and the memory over time in
  tenths of the job, from `VmRSS`;
* wall time and processor time a voxel, and that of copying the same files.

A picture of the memory over time lies in build/bench/streaming.png, and all numbers in traces/streaming.json beside it.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contest import Asked
from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
from benchmarks.tables import Cell, Table
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.memory_share import SHARE_VARIABLE, free_memory_bytes
from dlp_lab.store.workspace import DEFAULT_OUTPUT

BYTES_OF_WHOLE_VOLUMES = 6
BYTES_OF_FILES = {"slabs": 3, "slabs, HDF5": 9, "whole": 3}
"""A voxel, on the disk."""
TENTHS = 10
FLUSHED_AT_ONCE = 8

_JOB = """
import json, sys, threading, time
from pathlib import Path
import scipy.ndimage
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.task import Task

compiled_passes()
if sys.argv[3] == "whole":
    Gaussian3D.halo_slices = Task.halo_slices  # a task that does not say how far it looks

def mib(name):
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith(name))

imports, trace, ended = mib("VmRSS:"), [], threading.Event()

def watch():
    while not ended.wait(0.05):
        trace.append((time.perf_counter() - begun, mib("VmRSS:")))

workspace = Workspace(Path(sys.argv[1]))
workspace.create()
job = Job(uid="1" * 32, task="3dblur", input_dir="source", params={"sigma_mm": 1.5}, keep_hdf5=sys.argv[2] == "HDF5",
          state="running", submitted_at="")
begun = wall = time.perf_counter()
cpu = time.process_time()
watcher = threading.Thread(target=watch)
watcher.start()
run_job(workspace, job, lambda fraction, message: None, threads=2)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
ended.set()
watcher.join()
print(json.dumps({"wall": wall, "cpu": cpu, "imports": imports, "most": mib("VmHWM:"), "trace": trace}))
"""


@dataclass(frozen=True)
class Ran:
    """One job, or one copy of the files.

    Attributes:
        slices: Of the series, each of 512 x 512.
        way: "copy", or how the job was done.
        wall_s, processor_s: What it took.
        most_mib, after_imports_mib: Resident memory of the process, of the job alone.
        trace_s, trace_mib: Resident memory over time.
    """

    slices: int
    way: str
    wall_s: float
    processor_s: float
    most_mib: int = 0
    after_imports_mib: int = 0
    trace_s: tuple[float, ...] = ()
    trace_mib: tuple[int, ...] = ()

    def row(self, copy: Ran) -> Sequence[Cell]:
        """As it stands in the table, beside the copy of the same files."""
        voxels = self.slices * ROWS * COLUMNS
        wall_ns, processor_ns = self.wall_s / voxels * 1e9, self.processor_s / voxels * 1e9
        times = f"{self.slices} slices, {self.way}", wall_ns, self.wall_s / copy.wall_s, processor_ns
        if not self.trace_mib:
            return (*times, None, None, None)
        return (*times, self.most_mib, self.after_imports_mib, tenths(self.trace_mib))


def run_one(root: Path, slices: int, way: str) -> Ran:
    """Do the job in a process of its own, and remove its result."""
    share, kept = ("1" if way == "whole" else "0"), ("HDF5" if "HDF5" in way else "DICOM")
    ran = subprocess.run(
        [sys.executable, "-c", _JOB, str(root), kept, way],
        stdout=subprocess.PIPE,
        env={**os.environ, SHARE_VARIABLE: share},
        check=True,
    )
    shutil.rmtree(root / DEFAULT_OUTPUT)
    told: dict[str, Any] = json.loads(ran.stdout)
    seconds, mib = zip(*told["trace"], strict=True)
    return Ran(slices, way, told["wall"], told["cpu"], told["most"], told["imports"], seconds, mib)


def copied(files: list[Path], target: Path) -> Ran:
    """Copy the files as the result is written: flushed to the disk; and remove the copies."""
    target.mkdir()
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(FLUSHED_AT_ONCE) as threads:
        for _ in threads.map(lambda path: copy_flushed(path, target / path.name), files):
            pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(target)
    return Ran(len(files), "copy", wall, cpu)


def copy_flushed(source: Path, target: Path) -> None:
    """One file to the disk."""
    with open(target, "xb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())


def tenths(trace_mib: tuple[int, ...]) -> str:
    """The greatest memory in each tenth of a job."""
    parts = [trace_mib[len(trace_mib) * n // TENTHS : len(trace_mib) * (n + 1) // TENTHS] for n in range(TENTHS)]
    return " ".join(str(max(part)) for part in parts if part)


def measure(made: Path, slices: int, files: list[Path]) -> list[Ran]:
    """Copy, and do the job in every way that there is room for."""
    root = made / "root"
    (root / "source").mkdir(parents=True)
    for path in files[:slices]:
        os.link(path, root / "source" / path.name)
    voxels = slices * ROWS * COLUMNS
    found = [copied(files[:slices], made / "copy")]
    for way, of_files in BYTES_OF_FILES.items():
        if voxels * of_files > shutil.disk_usage(made).free:
            continue
        if way == "whole" and voxels * BYTES_OF_WHOLE_VOLUMES > free_memory_bytes() / 2:
            continue
        found.append(run_one(root, slices, way))
    shutil.rmtree(root)
    return found


def table(depths: Sequence[Sequence[Ran]]) -> Table:
    """All jobs, each beside the copy of its files."""
    return Table(
        "3dblur in slabs and on whole volumes, slices of 512 x 512 int16",
        (
            *("", "wall, ns a voxel", "x the copy", "processor, ns a voxel", "most memory, MiB"),
            *("after the imports, MiB", "in tenths of the job, MiB"),
        ),
        [ran.row(found[0]) for found in depths for ran in found],
        "A copy is of the same files, eight at a time, flushed to the disk; 1000 slices are 0.5 GiB of voxels.",
    )


def draw(found: list[Ran], results: Path) -> None:
    """Memory over time, a panel for each way, the jobs' times made one length."""
    from matplotlib.figure import Figure

    ways = [way for way in BYTES_OF_FILES if any(ran.way == way for ran in found)]
    figure = Figure(figsize=(4.5 * len(ways), 4), layout="constrained")
    for axes, way in zip(figure.subplots(1, len(ways), squeeze=False)[0], ways, strict=True):
        for ran in found:
            if ran.way == way:
                axes.plot([at / ran.wall_s for at in ran.trace_s], ran.trace_mib, label=f"{ran.slices} slices")
        axes.set(title=way, xlabel="part of the job's time", ylabel="resident MiB", ylim=(0, None))
        axes.legend()
    numbers = results / "traces/streaming.json"
    numbers.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(results / "streaming.png", dpi=90)
    numbers.write_text(json.dumps([asdict(ran) for ran in found]))
    print(f"\n{results / 'streaming.png'}\n{numbers}")


def main() -> int:
    """Measure all depths, the smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slices", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--series", type=Path, help="where the series is, or is to be made and to stay")
    parser.add_argument("--short", action="store_true", help="12 slices: whether it runs at all")
    asked = parser.parse_args()
    if asked.short:
        asked.slices = [12]
    results = Asked(0, asked.short).results
    with tempfile.TemporaryDirectory(dir=asked.series and asked.series.parent) as folder:
        series = asked.series or Path(folder) / "series"
        if not series.is_dir():
            write_scanner_series(series, max(asked.slices))
        files = [header.path for header in one_series(series).headers]
        depths = [measure(Path(folder), slices, files) for slices in sorted(asked.slices)]
    table(depths).print().write(results / "streaming.json")
    draw([ran for found in depths for ran in found], results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
