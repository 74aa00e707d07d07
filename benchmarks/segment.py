"""What running a network costs beyond the network's own passes, and how memory grows with the number of classes.

    python -m benchmarks.segment [--length 256] [--rounds 5] [--short]
    python -m benchmarks.segment --memory [--length 192] [--classes 2 10 25 50 100]

A volume of blobs, on the network's own grid and on one of other voxels. The network looks at single voxels, so its
passes take next to no time, and what is measured is all the rest: cutting, blending, choosing labels. Whole volume,
windows of 96 with a quarter of overlap, tiles. Each in turn; the median of the rounds, the least, and processor time,
which a busy machine changes less.

With --memory: the most that a run takes of memory, in a process of its own, beyond what there was with the volume and
the network loaded; a picture of the curve lies in build/segment-memory.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.contest import Asked
from benchmarks.tables import Table
from benchmarks.timed_network import TimedNetwork, blobs, forget_most_memory, memory_mib, package, single_voxels
from dlp_lab.models.inference import segment
from dlp_lab.models.memory import Memory
from dlp_lab.volume import Volume

PICTURE = Path("build/segment-memory.png")
WINDOWS = {"kind": "windows", "patch": [96, 96, 96], "overlap": 0.25}
WAYS: dict[str, dict[str, Any]] = {
    "whole": {"kind": "whole"},
    "windows": WINDOWS,
    "tiles": {"kind": "tiles", "halo": [1, 1, 1], "bytes_per_voxel": 64},
}
GRIDS: dict[str, dict[str, Any]] = {
    "own voxels": {"kind": "native"},
    "voxels of 1.2 mm": {"kind": "spacing", "spacing_mm": [1.2, 1.2, 1.2]},
}
LIMITS = (2**30, 2**28)
"""Of the sums of blended windows."""


def beside_the_network(ready: TimedNetwork, image: Volume) -> tuple[float, float, float]:
    """Seconds of one run: of the network, of all the rest by the clock, and of the rest in processor time."""
    before = sum(ready.seconds), sum(ready.processor_seconds)
    start, processor_start = time.perf_counter(), time.process_time()
    segment(ready, image, memory=Memory(2**29))
    took, processor_took = time.perf_counter() - start, time.process_time() - processor_start
    inside = sum(ready.seconds) - before[0]
    return inside, took - inside, processor_took - (sum(ready.processor_seconds) - before[1])


def print_times(length: int, rounds: int, results: Path) -> None:
    image = blobs(length)
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            f"{way}, {grid}": package(
                Path(folder, way, grid), single_voxels(3), 3, inference=WAYS[way], grid=GRIDS[grid]
            )
            for way in WAYS
            for grid in GRIDS
        }
        for ready in rows.values():
            segment(ready, image, memory=Memory(2**29))  # ONNX Runtime and the system make room at first
            ready.seconds.clear()
        figures = {name: [] for name in rows}
        for _ in range(rounds):
            for name, ready in rows.items():
                figures[name].append(beside_the_network(ready, image))
    told = []
    for name, ready in rows.items():
        network, rest, processor = zip(*figures[name], strict=True)
        medians = statistics.median(network), statistics.median(rest), min(rest), statistics.median(processor)
        told.append((name, len(ready.seconds) // rounds, *medians, 1e9 * medians[3] / length**3))
    Table(
        f"What a run costs beside its network: {length}³ int16, 3 classes, a network of single voxels",
        ("", "passes", "network, s", "the rest, s", "least, s", "the rest, processor s", "ns a voxel"),
        told,
    ).print().write(results / "segment.json")


def measure_memory(length: int, classes: int, blended_bytes: int) -> None:
    """In a process of its own: print what a run takes beyond what there was before."""
    with tempfile.TemporaryDirectory() as folder:
        image = blobs(length)
        channels = classes + 1
        grid = GRIDS["voxels of 1.2 mm"]
        ready = package(Path(folder), single_voxels(channels), channels, inference=WINDOWS, grid=grid)
        before = memory_mib("VmRSS")
        forget_most_memory()
        start = time.perf_counter()
        segment(ready, image, memory=Memory(2**30, blended_bytes))
        told = {
            "mib": memory_mib("VmHWM") - before,
            "process_mib": memory_mib("VmHWM"),
            "passes": len(ready.seconds),
            "seconds": time.perf_counter() - start,
        }
        print(json.dumps(told))


def print_memory(length: int, classes: list[int]) -> None:
    print(f"{length}^3, windows of 96, voxels of 1.2 mm; MiB beyond the volume and the loaded network")
    print(f"{'labels':>8}{'sums at most':>14}{'peak':>8}{'process':>9}{'passes':>8}{'seconds':>9}")
    curves: dict[int, list[float]] = {limit: [] for limit in LIMITS}
    for count in classes:
        for limit in LIMITS:
            command = [sys.executable, "-m", "benchmarks.segment", "--of-one", str(length), str(count), str(limit)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            curves[limit].append(found["mib"])
            print(
                f"{count:8}{limit >> 20:10} MiB{found['mib']:8.0f}{found['process_mib']:9.0f}{found['passes']:8}"
                f"{found['seconds']:9.1f}",
                flush=True,
            )
    _draw(length, classes, curves)


def _draw(length: int, classes: list[int], curves: dict[int, list[float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    values = [(count + 1) * (length / 1.2) ** 3 * 4 / 2**20 for count in classes]
    axes.plot(classes, values, "--", color="grey", label="values of all voxels and labels at once")
    for limit, peaks in curves.items():
        axes.plot(classes, peaks, "o-", label=f"dlp-lab, sums of at most {limit >> 20} MiB")
    axes.set_xlabel("labels")
    axes.set_ylabel("most memory of a run, MiB")
    axes.set_title(f"{length}³ voxels, windows of 96³")
    axes.legend()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    print(f"picture: {PICTURE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 10, 25, 50, 100], help="labels, with --memory")
    parser.add_argument("--of-one", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--short", action="store_true", help="one small volume: whether it runs at all")
    asked = parser.parse_args()
    if asked.short:
        asked.length, asked.rounds = 48, 1
    if asked.of_one:
        measure_memory(*asked.of_one)
    elif asked.memory:
        print_memory(asked.length or 192, asked.classes)
    else:
        print_times(asked.length or 256, asked.rounds, Asked(0, asked.short).results)


if __name__ == "__main__":
    main()
