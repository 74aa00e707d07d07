"""Which chunks, which filter: the measurement behind what `write_hdf5` does when it compresses.

    python -m benchmarks.chunks [SLICES] [--short]

The volume of `benchmarks.hdf5`, SLICES x 512 x 512 int16 (default 200), in memory where the system has a place for
that. gzip and zstd are packed by dlp-lab, the others by h5py with hdf5plugin. All are read by h5py, as any viewer does,
and by dlp-lab, if it reads that filter. A slice is taken out of a file that is open, but of which nothing was read: the
median of slices all through the volume. Times are those of the processor, of all threads together: who else is at work
on the machine changes them little, and how many processors there are not at all.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from benchmarks.contest import Asked, scratch
from benchmarks.hdf5 import PLANES, body
from benchmarks.tables import Cell, Table
from dlp_lab.store.hdf5 import read_hdf5
from dlp_lab.store.hdf5_packing import CHUNK_SHAPE, Packing, create_packed, write_packed

Voxels = NDArray[np.int16]
ChunkShape = tuple[int, int, int]
Write = Callable[[h5py.File, Voxels, ChunkShape], object]

SHAPES: tuple[ChunkShape, ...] = ((1, 512, 512), (16, 128, 128), CHUNK_SHAPE, (16, 32, 32), (32, 64, 64), (64, 64, 64))
LOOKS = 5
ROUNDS = 3


def _packed_here(packing: Packing) -> Write:
    def write(file: h5py.File, voxels: Voxels, shape: ChunkShape) -> None:
        image = create_packed(file, "image", voxels.shape, voxels.dtype, packing, shape)
        step = image.chunks[0]
        write_packed(image, (voxels[k : k + step] for k in range(0, len(voxels), step)))

    return write


def _packed_by_h5py(**options: Any) -> Write:
    def write(file: h5py.File, voxels: Voxels, shape: ChunkShape) -> None:
        chunks = tuple(map(min, shape, voxels.shape))
        file.create_dataset("image", data=voxels, chunks=chunks, **options)

    return write


FILTERS: dict[str, Write] = {
    "gzip": _packed_here("gzip"),
    "zstd": _packed_here("zstd"),
    "Blosc2 zstd": _packed_by_h5py(**hdf5plugin.Blosc2(cname="zstd", clevel=1, filters=hdf5plugin.Blosc2.SHUFFLE)),
    "Bitshuffle LZ4": _packed_by_h5py(**hdf5plugin.Bitshuffle(cname="lz4")),
    "lzf + shuffle": _packed_by_h5py(compression="lzf", shuffle=True),
}
READ_HERE = ("gzip", "zstd", "lzf + shuffle")


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Processor time; the least of some rounds, for what the others take more is the machine's."""
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1e3)
    return min(taken)


def look(path: Path, axis: int) -> float:
    """Milliseconds that one slice across the axis takes."""
    taken = []
    with h5py.File(path) as file:
        length = file["image"].shape[axis]
    for index in np.linspace(0, length - 1, LOOKS).astype(int):
        with h5py.File(path) as file:  # anew, for the library keeps chunks
            image = file["image"]
            taken.append(milliseconds(lambda: image[(slice(None),) * axis + (int(index),)], 1))  # noqa: B023 - done at once
    return statistics.median(taken)


def measure(write: Write, voxels: Voxels, shape: ChunkShape, path: Path, *, here: bool, rounds: int) -> list[Cell]:
    """Of one filter with one shape of chunks: writing, ratio, reading by h5py, by dlp-lab, and slices of each plane."""

    def write_anew() -> None:
        path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            write(file, voxels, shape)

    def read() -> None:
        with h5py.File(path) as file:
            if not np.array_equal(file["image"][()], voxels):
                raise AssertionError(f"{path.name} reads other values than were written")

    written_ms = milliseconds(write_anew, rounds)
    ratio = voxels.nbytes / path.stat().st_size
    read_here_ms = milliseconds(lambda: read_hdf5(path), rounds) if here else None
    return [written_ms, ratio, milliseconds(read, rounds), read_here_ms, *(look(path, axis) for axis in range(3))]


def main() -> int:
    """Print and keep the table."""
    asked = Asked.on_the_command_line(__doc__, 200)
    voxels = body(asked.slices)
    rows: list[tuple[Cell, ...]] = []
    with scratch() as folder:
        for name, write in FILTERS.items():
            for shape in SHAPES:
                here, rounds = name in READ_HERE, asked.rounds(ROUNDS)
                found = measure(write, voxels, shape, folder / "v.h5", here=here, rounds=rounds)
                rows.append((name, " x ".join(map(str, shape)), *found))
    looks = [f"{plane} slice" for plane in PLANES]
    Table(
        f"Chunks of {asked.slices} x 512 x 512 int16, milliseconds of processor time",
        (
            "",
            "chunk",
            "write",
            "smaller, x",
            "read by h5py",
            "read by dlp-lab",
            *looks,
        ),
        rows,
        "The least of some rounds, all threads together. Slices are taken by h5py, of a file that was just opened.",
    ).print().write(asked.results / "chunks.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
