"""A volume in HDF5, written, read and looked at slice by slice, beside peers and the floor.

    python -m benchmarks.hdf5 [SLICES]

SLICES x 512 x 512 int16 (default 400): a body of smooth shapes with noise as a CT reconstruction makes it, of which
lossless codecs save about half. Files are in memory where the system has a place for that, one process, all contestants
in turn, best CPU time of three rounds (a busy machine leaves CPU time comparable, not wall time). A slice is copied out
of an opened file. Its time is the median over slices all through the volume, in a file that was looked at before; that
of the first slice, which must find the others' bytes as well, is in brackets. zarr and NIfTI take part where they are
installed. The floor writes and reads the same bytes, and knows nothing of them; dlp-lab also hashes them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import Compression, open_hdf5, read_hdf5, write_hdf5
from dlp_lab.volume import Volume

ROUNDS = 3
SLICES = 15
PATIENCE_S = 2.0
"""No further slices of a plane are looked at when they have taken this long."""
PLANES = ("axial", "coronal", "sagittal")

# centre and half axes as parts of the field of view, and HU: body, inner body, lungs, heart, spine, table
SHAPES = (
    (0.0, 0.0, 0.80, 0.58, -95),
    (0.0, 0.0, 0.70, 0.49, 45),
    (-0.33, -0.06, 0.28, 0.30, -850),
    (0.33, -0.06, 0.28, 0.30, -850),
    (0.03, -0.10, 0.15, 0.18, 150),
    (0.0, 0.38, 0.10, 0.09, 500),
    (0.0, 0.74, 0.90, 0.05, -400),
)


@dataclass(frozen=True)
class Contestant:
    """One way to keep a volume in a file.

    Attributes:
        write: Writes the volume to a new file.
        read: All values.
        open: What gives slices when it is indexed.
    """

    write: Callable[[Volume, Path], object]
    read: Callable[[Path], NDArray[Any]]
    open: Callable[[Path], Any]


@dataclass
class Measured:
    """CPU seconds of a contestant, and how much smaller its file is than the values."""

    ratio: float = 0.0
    write: float = float("inf")
    read: float = float("inf")
    slices: dict[str, tuple[float, float]] = field(default_factory=dict)


def body(slices: int) -> Volume:
    """A CT of a body, in HU."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    values = np.empty((slices, 512, 512), np.int16)
    for k, plane in enumerate(values):
        swelling = 1 + 0.05 * np.sin(6 * k / slices)
        image = np.full((512, 512), -1000.0, np.float32)
        for centre_x, centre_y, half_x, half_y, hu in SHAPES:
            image[((x - centre_x) / half_x / swelling) ** 2 + ((y - centre_y) / half_y / swelling) ** 2 < 1] = hu
        image = ndimage.gaussian_filter(image, 0.8)
        noise = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), 0.75)
        image += noise / noise.std() * np.where(image > -900, 22, 9)
        plane[:] = np.clip(np.rint(image), -1024, 3071)
    return Volume(values, Geometry(values.shape, np.diag([1.0, 0.7, 0.7, 1.0])), "HU", "CT")


def h5py_with(**options: Any) -> Contestant:
    """h5py by itself."""

    def write(volume: Volume, path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=volume.voxels, **options)

    def read(path: Path) -> NDArray[Any]:
        with h5py.File(path) as file:
            values: NDArray[Any] = file["image"][()]
            return values

    return Contestant(write, read, lambda path: h5py.File(path)["image"])


def zarr_array() -> Contestant:
    """zarr with the codec and the chunks it chooses itself."""
    import zarr

    def write(volume: Volume, path: Path) -> None:
        array = zarr.create_array(path, shape=volume.voxels.shape, dtype=volume.voxels.dtype)
        array[:] = volume.voxels

    return Contestant(
        write, lambda path: zarr.open_array(path, mode="r")[:], lambda path: zarr.open_array(path, mode="r")
    )


def nifti() -> Contestant:
    """NIfTI by nibabel, compressed; its axes are those of the array, not those of NIfTI."""
    import nibabel

    def load(path: Path) -> Any:
        return nibabel.Nifti1Image.from_filename(path).dataobj

    def write(volume: Volume, path: Path) -> None:
        nibabel.Nifti1Image(volume.voxels, np.eye(4)).to_filename(path)

    return Contestant(write, lambda path: np.asarray(load(path)), load)


def own(compress: Compression) -> Contestant:
    """dlp-lab; slices of what is compressed are looked at by plain h5py, as viewers do."""

    def read(path: Path) -> NDArray[Any]:
        values = read_hdf5(path)
        assert isinstance(values, Volume)
        return values.voxels

    def look(path: Path) -> Any:
        return open_hdf5(path).voxels if compress == "none" else h5py.File(path)["entry/volume/image"]

    return Contestant(lambda volume, path: write_hdf5(volume, path, compress=compress), read, look)


def floor() -> Contestant:
    """The bytes."""

    def write(volume: Volume, path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            for plane in volume.voxels:
                file.write(plane.data)

    def read(path: Path) -> NDArray[Any]:
        values = np.empty(path.stat().st_size // 2, np.int16)
        with open(path, "rb", buffering=0) as file:
            file.readinto(values.data)
        return values.reshape(-1, 512, 512)

    def look(path: Path) -> Any:
        return np.memmap(path, np.int16, "r").reshape(-1, 512, 512)

    return Contestant(write, read, look)


def contestants() -> dict[str, Contestant]:
    """All that can take part here."""
    found = {
        "floor: the bytes": floor(),
        "dlp-lab": own("none"),
        "dlp-lab, gzip": own("gzip"),
        "h5py": h5py_with(),
        "h5py gzip": h5py_with(compression="gzip"),
        "h5py gzip + shuffle": h5py_with(compression="gzip", shuffle=True),
        "h5py lzf": h5py_with(compression="lzf"),
    }
    if importlib.util.find_spec("zarr"):
        found["zarr 3"] = zarr_array()
    if importlib.util.find_spec("nibabel"):
        found["NIfTI.gz, nibabel"] = nifti()
    return found


def measure(volume: Volume, folder: Path) -> dict[str, Measured]:
    """Every contestant in turn, ROUNDS times."""
    found: dict[str, Measured] = {}
    for _ in range(ROUNDS):
        for name, contestant in contestants().items():
            measured = found.setdefault(name, Measured())
            path = folder / "volume.nii.gz"
            measured.write = min(measured.write, cpu_seconds(contestant.write, volume, path)[1])
            measured.ratio = volume.voxels.nbytes / size_of(path)
            for _ in range(3):  # who comes first may get memory that a virtual machine has yet to find
                values, seconds = cpu_seconds(contestant.read, path)
                measured.read = min(measured.read, seconds)
                if not np.array_equal(values, volume.voxels):
                    raise AssertionError(f"{name} reads other values than it wrote")
                del values
            measured.slices = slice_seconds(contestant.open(path), volume.voxels.shape)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def slice_seconds(opened: Any, shape: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """For each plane, the time of the first slice and the median of the others."""
    found = {}
    for axis, plane in enumerate(PLANES):
        seconds: list[float] = []
        for index in np.random.default_rng(0).permutation(shape[axis])[: SLICES + 1]:
            where = (slice(None),) * axis + (int(index),)
            seconds.append(cpu_seconds(copied, opened, where)[1])
            if len(seconds) > 1 and sum(seconds) > PATIENCE_S:
                break
        found[plane] = (seconds[0], statistics.median(seconds[1:]))
    return found


def copied(opened: Any, where: tuple[Any, ...]) -> NDArray[Any]:
    """A slice, in memory of its own."""
    return np.array(opened[where], order="C")


def cpu_seconds(work: Callable[..., Any], *arguments: object) -> tuple[Any, float]:
    """What a function returns, and the CPU time that it took."""
    start = time.process_time()
    made = work(*arguments)
    return made, time.process_time() - start


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


def print_table(found: dict[str, Measured]) -> None:
    print(
        f"{'ms CPU':<22}{'ratio':>6}{'write':>8}{'read':>8}" + "".join(f"{plane + ' (first)':>20}" for plane in PLANES)
    )
    for name, measured in found.items():
        slices = "".join(
            f"{1000 * others:>11.3f} ({1000 * first:6.1f})" for first, others in map(measured.slices.get, PLANES)
        )
        print(f"{name:<22}{measured.ratio:6.2f}{1000 * measured.write:8.0f}{1000 * measured.read:8.0f}{slices}")


def print_ratios(found: dict[str, Measured], hashing: float) -> None:
    floor, plain, packed, gzip = (found[name] for name in ("floor: the bytes", "dlp-lab", "dlp-lab, gzip", "h5py gzip"))
    print(f"hashing the values takes {1000 * hashing:.0f} ms; it is part of writing and reading by dlp-lab")
    print(f"write: {(plain.write - hashing) / floor.write:.2f} x the floor, and the hash")
    print(f"read: {(plain.read - hashing) / floor.read:.2f} x the floor, and the hash")
    faster, without_hash = gzip.write / packed.write, gzip.write / (packed.write - hashing)
    print(f"gzip: written {faster:.1f} x faster than by h5py gzip ({without_hash:.1f} x without the hash)")
    print(
        f"gzip: {packed.ratio / gzip.ratio:.2f} x the ratio of h5py gzip; read {gzip.read / packed.read:.1f} x faster"
    )


def main(slices: int) -> int:
    """Measure, and print what was measured."""
    volume = body(slices)
    digest = hashlib.sha256()
    hashing = min(cpu_seconds(digest.update, volume.voxels.data)[1] for _ in range(ROUNDS))
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        found = measure(volume, Path(folder))
    print(f"{slices} x 512 x 512 int16")
    print_table(found)
    print_ratios(found, hashing)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
