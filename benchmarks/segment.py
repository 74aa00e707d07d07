"""What running a network costs beyond the network's own passes, and how memory grows with the number of classes.

    python -m benchmarks.segment [LENGTH]

A volume of LENGTH voxels a side (default 256) of blobs, on the network's own grid and on one of other voxels. The
network looks at single voxels, so its passes take next to no time, and what is measured is all the rest: cutting,
blending, choosing labels. Whole volume, windows of 96 with a quarter of overlap, tiles. Each in turn, median of three
rounds; memory is the peak of a process of its own, less that of the same process before the run.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dlp_lab.geometry import Geometry
from dlp_lab.models.inference import Memory, segment
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import read_package
from dlp_lab.volume import Volume
from tests.models.networks import description, threshold_network, write_package

ROUNDS = 3
CLASSES = (2, 25, 100)
MEMORY_LENGTH = 192
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


@dataclasses.dataclass(frozen=True, eq=False)
class TimedNetwork(Network):
    """A network that adds up how long its passes take."""

    seconds: list[float] = dataclasses.field(default_factory=list)

    def run(self, image: NDArray[np.float32], into: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        start = time.perf_counter()
        scores = super().run(image, into)
        self.seconds.append(time.perf_counter() - start)
        return scores


def volume(length: int) -> Volume:
    """Blobs of a CT's range, some centimetres wide."""
    shape = (length, length, length)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape).astype(np.float32), 6, truncate=2)
    voxels = np.rint(500 + 600 / noise.std() * noise).astype(np.int16)
    return Volume(voxels, Geometry(shape, np.eye(4)[[2, 1, 0, 3]]), modality="CT")


def network(folder: Path, classes: int, way: dict[str, Any], grid: dict[str, Any]) -> TimedNetwork:
    """One that tells `classes` ranges of values apart."""
    thresholds = np.linspace(-900, 1900, classes)
    described = description(classes, inference=way, grid=grid, orientation=None)
    loaded = load(read_package(write_package(folder, threshold_network(*thresholds), described)))
    return TimedNetwork(loaded.package, loaded.sessions, loaded.provider)


def memory_mib(entry: str) -> float:
    """What the system says of this process's memory: VmRSS is what it has, VmHWM the most it had."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(entry))) / 1024


def measure_memory(classes: int, blended_bytes: int) -> None:
    """In a process of its own: print what a run takes beyond what there was before."""
    with tempfile.TemporaryDirectory() as folder:
        image = volume(MEMORY_LENGTH)
        ready = network(Path(folder), classes, WINDOWS, GRIDS["voxels of 1.2 mm"])
        before = memory_mib("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the most there was
        start = time.perf_counter()
        segment(ready, image, memory=Memory(2**30, blended_bytes))
        took = time.perf_counter() - start
        print(json.dumps({"mib": memory_mib("VmHWM") - before, "passes": len(ready.seconds), "seconds": took}))


def main() -> None:
    """Print both tables."""
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    image = volume(length)
    print(f"{length}^3 int16, 3 classes, a network of single voxels; seconds")
    print(f"{'':34}{'passes':>8}{'network':>10}{'the rest':>10}")
    for way_name, way in WAYS.items():
        for grid_name, grid in GRIDS.items():
            rounds = []
            for _ in range(ROUNDS):
                with tempfile.TemporaryDirectory() as folder:
                    ready = network(Path(folder), 2, way, grid)
                    start = time.perf_counter()
                    segment(ready, image, memory=Memory(2**29))
                    rounds.append((time.perf_counter() - start, sum(ready.seconds), len(ready.seconds)))
            whole = statistics.median(r[0] - r[1] for r in rounds)
            inside = statistics.median(r[1] for r in rounds)
            print(f"{way_name + ', ' + grid_name:34}{rounds[0][2]:8}{inside:10.2f}{whole:10.2f}")
    print(f"\n{MEMORY_LENGTH}^3, windows of 96, voxels of 1.2 mm; MiB beyond the volume and the loaded network")
    print(f"{'classes':>8}{'sums at most':>14}{'peak':>8}{'passes':>8}{'seconds':>9}")
    for classes in CLASSES:
        for blended_bytes in (2**30, 2**28):
            command = [sys.executable, "-m", "benchmarks.segment", "memory", str(classes), str(blended_bytes)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{classes:8}{blended_bytes >> 20:10} MiB{found['mib']:8.0f}{found['passes']:8}{found['seconds']:9.1f}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        measure_memory(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
