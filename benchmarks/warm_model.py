"""How long it takes until a network runs, in the first job of a worker and in those after it.

    python -m benchmarks.warm_model [--jobs 10]

Jobs of `segment` on a small phantom, by a network with 28 MB of weights, one after the other:

- through a real `dlp-lab serve` with one slot, from the POST to the answer that the job is done;
- in this process, from the call of the task, which has read its series by then, to the first pass of the network.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.job_overhead import one_job
from benchmarks.served import served
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.models.registry import MODELS_VARIABLE, add_model
from dlp_lab.tasks.segment import Segment
from tests.models.networks import convolutions, description, write_package
from tests.phantom import write_phantom_series


def register(folder: Path) -> None:
    """Put a network of random weights into the registry."""
    rng = np.random.default_rng(0)
    sizes = [(256, 1), *[(256, 256)] * 4, (2, 256)]
    kernels = [rng.normal(size=(out, into, 3, 3, 3)) / np.sqrt(into * 13.5) for out, into in sizes]
    network = convolutions(kernels, [np.zeros(out) for out, _ in sizes])
    add_model(write_package(folder, network, description()))


def seconds_to_first_pass(root: Path) -> float:
    volume = read_volume(one_series(root / "ct"))
    reached: list[float] = []

    def report(fraction: float, message: str) -> None:
        if message.startswith("running the network"):
            reached.append(time.perf_counter())

    start = time.perf_counter()
    Segment().run(volume, report)
    return reached[0] - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlp-lab-warm-") as folder:
        root = Path(folder, "root")
        write_phantom_series(root / "ct")
        os.environ[MODELS_VARIABLE] = str(Path(folder, "registry"))
        register(Path(folder, "package"))
        with served(root, slots=1) as server:
            request = {"task": "segment", "input_dir": "ct"}
            jobs = [one_job(server, request)[2] for _ in range(asked.jobs)]
        passes = [1e3 * seconds_to_first_pass(root) for _ in range(asked.jobs)]
    print(f"{'ms':34}{'first':>8}{'later, median':>15}{'worst':>8}")
    for name, values in {"POST to done": jobs, "the task's call to the first pass": passes}.items():
        print(f"{name:34}{values[0]:8.1f}{statistics.median(values[1:]):15.1f}{max(values[1:]):8.1f}")


if __name__ == "__main__":
    main()
