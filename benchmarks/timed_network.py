"""What the measurements of networks share: volumes, networks that tell how long they took, and memory."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy import ndimage

from dlp_lab.geometry import Geometry
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import read_package
from dlp_lab.volume import Volume
from tests.models.networks import description, threshold_network, write_package

FloatVolume = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class TimedNetwork(Network):
    """A network that keeps how long each of its passes took, by the clock and of the processors, and on how much."""

    seconds: list[float] = dataclasses.field(default_factory=list)
    processor_seconds: list[float] = dataclasses.field(default_factory=list)
    voxels: list[int] = dataclasses.field(default_factory=list)

    def run(self, image: FloatVolume, into: FloatVolume | None = None) -> FloatVolume:
        start, processor_start = time.perf_counter(), time.process_time()
        scores = super().run(image, into)
        self.seconds.append(time.perf_counter() - start)
        self.voxels.append(image.size)
        self.processor_seconds.append(time.process_time() - processor_start)
        return scores


def timed(loaded: Network) -> TimedNetwork:
    """A network, with an empty account."""
    return TimedNetwork(loaded.package, loaded.sessions, loaded.provider)


def single_voxels(channels: int, scale: float = 1.0) -> onnx.ModelProto:
    """A network that looks at single voxels, and tells ranges of a CT's values, times `scale`, apart.

    A pass takes next to no time.
    """
    return threshold_network(*np.linspace(-900 * scale, 1900 * scale, channels - 1))


def package(folder: Path, network: onnx.ModelProto, channels: int, **described: Any) -> TimedNetwork:
    """A network as a package in `folder`, loaded."""
    told = {"orientation": None, **described}
    return timed(load(read_package(write_package(folder, network, description(channels - 1, **told)))))


def blobs(length: int) -> Volume:
    """Blobs of a CT's range, some centimetres wide."""
    shape = (length, length, length)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape).astype(np.float32), 6, truncate=2)
    voxels = np.rint(500 + 600 / noise.std() * noise).astype(np.int16)
    return Volume(voxels, Geometry(shape, np.eye(4)[[2, 1, 0, 3]]), modality="CT")


def memory_mib(entry: str) -> float:
    """What the system says of this process's memory: VmRSS is what it has, VmHWM the most it had."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(entry))) / 1024


def forget_most_memory() -> None:
    """From now on VmHWM is counted anew. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
