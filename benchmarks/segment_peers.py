"""The same network over the same volume as MONAI, nnU-Net and dlp-lab take it, side by side.

    make judges
    python -m benchmarks.segment_peers [--length 256] [--rounds 3] [--channels 3 25] [--short]

Blended windows of 96 with a quarter of overlap; ONNX Runtime runs the network for all, with two threads. Two networks:
one looks at single voxels, so that nearly all time is what the libraries add; one has nine dilated layers, as MeshNet,
and sees 46 voxels far, so that dlp-lab may take it in the largest tiles that fit instead (the row "tiles").
Everyone has a process of its own, in turns; one run to warm up, then medians of the rounds. Beyond the network: by the
clock, and in processor time, which a busy machine changes less. Memory is the most beyond what was there with the image
and the network loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.contest import PEERS_PYTHON, Asked
from benchmarks.tables import Cell, Table
from benchmarks.timed_network import blobs, forget_most_memory, memory_mib, package, single_voxels, timed
from dlp_lab.geometry import Geometry
from dlp_lab.models.inference import segment
from dlp_lab.models.network import load
from dlp_lab.models.package import read_package
from dlp_lab.processors import shared_processors
from dlp_lab.volume import Volume
from tests.models.networks import convolutions

THREADS, PATCH, OVERLAP = 2, 96, 0.25
WAYS: dict[str, dict[str, Any]] = {
    "windows": {"kind": "windows", "patch": [PATCH] * 3, "overlap": OVERLAP},
    "tiles": {"kind": "tiles", "halo": [46, 46, 46], "bytes_per_voxel": 64},
}


def dilated(channels: int) -> onnx.ModelProto:
    """As MeshNet: nine layers of five channels, dilated up to 16, with random weights."""
    rng = np.random.default_rng(0)
    dilations = [1, 2, 4, 8, 16, 8, 4, 2, 1]
    kernels = [rng.normal(size=(5, 1 if layer == 0 else 5, 3, 3, 3)) for layer in range(len(dilations))]
    kernels = [kernel / np.sqrt(kernel[0].size / 2) for kernel in kernels]
    kernels.append(rng.normal(size=(channels, 5, 1, 1, 1)))
    biases = [rng.normal(size=len(kernel)) * 0.1 for kernel in kernels]
    return convolutions(kernels, biases, [*dilations, 1])


_SCALE = 1e-3
NETWORKS = {
    "single voxels": (partial(single_voxels, scale=_SCALE), ["windows"]),
    "dilated layers": (dilated, ["windows", "tiles"]),
}


def ours(way: str, folder: Path, rounds: int) -> None:
    """In a process of its own: print what `judges.py` prints."""
    voxels = np.load(folder / "image.npy")
    image = Volume(voxels, Geometry(voxels.shape, np.eye(4)[[2, 1, 0, 3]]), modality="CT")
    with shared_processors(THREADS):
        ready = timed(load(read_package(folder / way)))
        before = memory_mib("VmRSS")
        forget_most_memory()
        told = []
        for _ in range(rounds):
            ready.seconds.clear()
            ready.processor_seconds.clear()
            start, processor_start = time.perf_counter(), time.process_time()
            found = segment(ready, image)
            took, processor_took = time.perf_counter() - start, time.process_time() - processor_start
            told.append((took, sum(ready.seconds), processor_took - sum(ready.processor_seconds)))
    np.save(folder / f"{way}.npy", found.voxels)
    print(json.dumps({"rounds": told, "passes": len(ready.seconds), "mib": memory_mib("VmHWM") - before}))


def compare(name: str, channels: int, length: int, rounds: int) -> list[Sequence[Cell]]:
    """The rows of one network."""
    make, ways = NETWORKS[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        onnx.save(make(channels), folder / "model.onnx")
        # nnU-Net adds up in half precision, which larger values overflow
        np.save(folder / "image.npy", blobs(length).voxels.astype(np.float32) * _SCALE)
        for way in ways:
            package(folder / way, make(channels), channels, inference=WAYS[way])
        settings = [str(channels), str(PATCH), str(OVERLAP)]
        judge = [str(PEERS_PYTHON), str(Path(__file__).with_name("judges.py"))]
        own = [sys.executable, "-m", "benchmarks.segment_peers", "--ours"]
        commands = {
            "MONAI": [*judge, "monai", str(folder), *settings],
            "nnU-Net": [*judge, "nnunet", str(folder), *settings],
            **{f"dlp-lab, {way}": [*own, way, str(folder)] for way in ways},
        }
        found: dict[str, list[dict[str, Any]]] = {who: [] for who in commands}
        for _ in range(rounds):
            for who, command in commands.items():
                done = subprocess.run([*command, "2"], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{who}: {done.stderr[-2000:]}")
                found[who].append(json.loads(done.stdout))
        labels = {who: np.load(folder / f"{file}.npy") for who, file in _files(ways).items()}
    ours_whole = statistics.median(run["rounds"][-1][0] for run in found["dlp-lab, windows"])
    rows: list[Sequence[Cell]] = []
    for who, runs in found.items():
        last = [run["rounds"][-1] for run in runs]
        took, inside, processor = (statistics.median(times) for times in zip(*last, strict=True))
        rest = statistics.median(whole - network for whole, network, _ in last)
        spread = f"{min(whole for whole, *_ in last):.2f} to {max(whole for whole, *_ in last):.2f}"
        agreement = 100 * float((labels[who] == labels["dlp-lab, windows"]).mean())
        cells = runs[0]["passes"], took, spread, took / ours_whole, inside, rest, processor
        memory = round(max(run["mib"] for run in runs))
        rows.append((f"{name}, {channels} channels: {who}", *cells, memory, f"{agreement:.2f}"))
    return rows


def _files(ways: list[str]) -> dict[str, str]:
    return {"MONAI": "monai", "nnU-Net": "nnunet", **{f"dlp-lab, {way}": way for way in ways}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels", type=int, nargs="+", default=[3, 25])
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--short", action="store_true", help="one small volume: whether it runs at all")
    asked = parser.parse_args()
    if asked.short:
        asked.length, asked.rounds, asked.channels, asked.networks = 48, 1, [3], ["single voxels"]
    if asked.ours:
        way, folder, rounds = asked.ours
        ours(way, Path(folder), int(rounds))
        return
    if not PEERS_PYTHON.exists():
        parser.error(f"there is no {PEERS_PYTHON}; make it by: make judges")
    rows = [
        row
        for name in asked.networks
        for channels in asked.channels
        for row in compare(name, channels, asked.length, asked.rounds)
    ]
    Table(
        f"The same network by all: {asked.length}³ float32, windows of {PATCH}³, {THREADS} threads",
        (
            *("", "passes", "all, s", "spread", "all, x", "network, s", "the rest, s", "the rest, processor s"),
            *("memory, MiB", "same labels, %"),
        ),
        rows,
        "x: as a multiple of dlp-lab's windows. Labels are compared with those of dlp-lab's windows.",
    ).print().write(Asked(0, asked.short).results / "segment_peers.json")


if __name__ == "__main__":
    main()
