"""Windows, tiles and the whole volume by one network: how much is computed more than once, and what it takes.

    python -m benchmarks.segment_tiles [--length 192]

The network has nine dilated layers, as MeshNet, and sees 46 voxels far. It is run in blended windows of 96 with a
quarter of overlap, in tiles with a halo for several limits of memory, and on the whole volume. A row tells the passes,
how many voxels were computed for each one of the volume, seconds, the limit, the most memory that the run really took
beyond the volume and the loaded network, and how many labels are those of the whole volume.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.segment import WINDOWS
from benchmarks.segment_peers import dilated
from benchmarks.timed_network import TimedNetwork, blobs, forget_most_memory, memory_mib, package
from dlp_lab.models.inference import segment
from dlp_lab.models.memory import Memory
from dlp_lab.volume import Volume

CHANNELS = 3
TILES = {"kind": "tiles", "halo": [46, 46, 46], "bytes_per_voxel": 64}
ROWS: list[tuple[str, dict[str, Any], int | None]] = [
    ("whole", {"kind": "whole"}, None),
    ("tiles", TILES, 1024),
    ("tiles", TILES, 384),
    ("tiles", TILES, 192),
    ("windows", WINDOWS, None),
]


def measured(ready: TimedNetwork, image: Volume, limit_mib: int | None) -> tuple[float, float, np.ndarray]:
    """Seconds and MiB of one run, and its labels."""
    forget_most_memory()
    before = memory_mib("VmRSS")
    start = time.perf_counter()
    found = segment(ready, image, memory=Memory((limit_mib or 1024) * 2**20))
    return time.perf_counter() - start, memory_mib("VmHWM") - before, found.voxels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=192)
    asked = parser.parse_args()
    volume = blobs(asked.length)
    image = volume.with_voxels(volume.voxels.astype(np.float32) / 1000)
    print("| | limit MiB | passes | voxels computed | seconds | memory MiB | labels as by the whole, % |")
    print("|---|---|---|---|---|---|---|")
    reference = None
    for name, way, limit_mib in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ready = package(Path(folder), dilated(CHANNELS), CHANNELS, inference=way)
            seconds, mib, labels = measured(ready, image, limit_mib)
        reference = labels if reference is None else reference
        print(
            f"| {name} | {limit_mib or ''} | {len(ready.seconds)} | {sum(ready.voxels) / labels.size:.2f} "
            f"| {seconds:.1f} | {mib:.0f} | {100 * float((labels == reference).mean()):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
