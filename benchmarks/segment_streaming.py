"""`segment` with its volumes in files: memory of the process itself, and time a voxel, at several depths and labels.

    python -m benchmarks.segment_streaming [SLICES ...] [--labels 1 10] [--series FOLDER] [--short]

Makes a CT series of as many slices of 512 x 512 as the largest number says (default 500 1000) and segments its first
SLICES, each job in a process of its own (DLP_LAB_MEMORY_SHARE=0). The network looks at single voxels, so that what is
measured is nearly all the rest; windows of 96 overlap by a half, in the order of axes of a network that wants RAS.
With --series, the series is made in that folder and stays there, and is taken from there the next time.

Told are wall time and processor time a voxel, and the most memory that the process had for itself: `RssAnon`, which is
not that of the files that arrays lie in, of which the system keeps in memory what there is room for; with what there
is after the imports, and in tenths of the job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.contest import Asked
from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
from benchmarks.streaming import tenths
from benchmarks.tables import Cell, Table
from benchmarks.timed_network import memory_mib, single_voxels
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.memory_share import SHARE_VARIABLE
from dlp_lab.models.registry import add_model
from tests.models.networks import description, write_package

_WINDOWS = {"kind": "windows", "patch": [96, 96, 96], "overlap": 0.5}
_EVERY_S = 0.02


def of_one(root: Path) -> dict[str, Any]:
    """Do a job in this process, and watch its memory."""
    import highdicom  # noqa: F401
    import onnxruntime  # noqa: F401

    from dlp_lab.jobs.job import Job
    from dlp_lab.jobs.pipeline import run_job
    from dlp_lab.models.inference import segment  # noqa: F401
    from dlp_lab.store.hdf5 import write_hdf5  # noqa: F401
    from dlp_lab.store.workspace import Workspace

    workspace = Workspace(root)
    workspace.create()
    job = Job(
        uid="1" * 32,
        task="segment",
        input_dir="source",
        params={},
        keep_hdf5=False,
        state="running",
        submitted_at="",
    )
    imports, trace, ended = round(memory_mib("RssAnon:")), [], threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            trace.append(round(memory_mib("RssAnon:")))

    watcher = threading.Thread(target=watch)
    wall, cpu = time.perf_counter(), time.process_time()
    watcher.start()
    run_job(workspace, job, lambda fraction, message: None, threads=2)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ended.set()
    watcher.join()
    return {"wall": wall, "cpu": cpu, "imports": imports, "trace": trace}


def measure(folder: Path, files: list[Path], labels: int) -> tuple[Cell, ...]:
    """The row of one job on these files, done in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        source = Path(made, "root/source")
        source.mkdir(parents=True)
        for path in files:
            os.link(path, source / path.name)
        told = description(labels, orientation="RAS", inference=_WINDOWS)
        environment = {**os.environ, SHARE_VARIABLE: "0", "DLP_LAB_MODELS": str(Path(made, "models"))}
        os.environ["DLP_LAB_MODELS"] = environment["DLP_LAB_MODELS"]
        add_model(write_package(Path(made, "package"), single_voxels(labels + 1), told))
        command = [sys.executable, "-m", "benchmarks.segment_streaming", "--of-one", str(source.parent)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    found = json.loads(ran.stdout)
    voxels = len(files) * ROWS * COLUMNS
    trace = tuple(found["trace"])
    return (
        f"{len(files)} slices, {labels} label{'s' if labels > 1 else ''}",
        found["wall"] / voxels * 1e9,
        found["cpu"] / voxels * 1e9,
        max(trace),
        found["imports"],
        tenths(trace),
    )


def main() -> int:
    """Measure all depths and numbers of labels, the smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slices", type=int, nargs="*", default=[500, 1000])
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--series", type=Path, help="where the series is, or is to be made and to stay")
    parser.add_argument("--short", action="store_true", help="12 slices: whether it runs at all")
    parser.add_argument("--of-one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.of_one:
        print(json.dumps(of_one(asked.of_one)))
        return 0
    if asked.short:
        asked.slices = [12]
    with tempfile.TemporaryDirectory(dir=asked.series and asked.series.parent) as folder:
        series = asked.series or Path(folder) / "series"
        if not series.is_dir():
            write_scanner_series(series, max(asked.slices))
        files = [header.path for header in one_series(series).headers]
        rows = [
            measure(Path(folder), files[:slices], labels) for slices in sorted(asked.slices) for labels in asked.labels
        ]
    columns = ("", "wall, ns a voxel", "processor, ns a voxel", "most memory of its own, MiB", "after the imports, MiB")
    title = "segment with its volumes in files, slices of 512 x 512 int16"
    table = Table(title, (*columns, "in tenths of the job, MiB"), rows, "1000 slices are 0.5 GiB of voxels.")
    table.print().write(Asked(0, asked.short).results / "segment_streaming.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
