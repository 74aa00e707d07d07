"""Reading compressed series, beside the codec alone and peers.

    python -m benchmarks.compressed [SLICES] [--short]

An MR series of SLICES x 512 x 512 of 12 bits (default 40), a body with noise, in four transfer syntaxes; page cache
warm, best of three rounds, CPU time of all threads and processes. "the codec" is the decoder of imagecodecs alone, on
images in memory, one after the other into the same memory; in wall time it could be divided by the processors. "pixels"
begins where the headers are known. `dlp.read_series` decodes in a process of its own, which has to start.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.uid import UID
from scipy.ndimage import gaussian_filter

import dlp_lab as dlp
from benchmarks.contest import Asked
from benchmarks.tables import Cell, Table
from dlp_lab.dicom.codecs import decode
from dlp_lab.dicom.codestream import RLE, read_codestream
from dlp_lab.dicom.compressed import available_processors
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.rle import decode_rle
from dlp_lab.dicom.series import one_series
from tests.dicom.quirks.pixels import compressed, frame_of
from tests.encoded_images import SYNTAXES
from tests.phantom import write_phantom_series

ROUNDS = 3
BITS = 12
DIFFERENT = 8
NAMES = ("JPEG 2000 lossless", "JPEG-LS", "HTJ2K lossless", "RLE")


def body(number: int) -> np.ndarray:
    """A slice through a body, with noise everywhere: it takes a third of its size without loss."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:512, :512] - 256
    inside = (x / 220) ** 2 + (y / 170) ** 2 < 1
    tissue = 900 + 300 * np.sin(x / 40) * np.cos(y / 60 + number)
    noise = gaussian_filter(rng.normal(size=(512, 512)), 0.7) * 60
    return (tissue * inside + np.abs(noise)).clip(0, (1 << BITS) - 1).astype(np.uint16)


def write_series(folder: Path, name: str, slices: int) -> np.ndarray:
    """Write the series, and return what it must be read as."""
    syntax = SYNTAXES[name]
    images = [body(number) for number in range(min(DIFFERENT, slices))]
    encoded = [syntax.encode(image, BITS) for image in images]
    bits = {"BitsStored": BITS, "HighBit": BITS - 1, "PixelRepresentation": 0}
    phantom = write_phantom_series(folder, modality="MR", shape=(slices, 512, 512))
    for k, path in enumerate(phantom.files):
        compressed(path, encoded[k % len(encoded)], UID(syntax.uid), **bits)
    return np.stack([images[k % len(images)] for k in range(slices)]).astype(np.int16)


def the_codec_alone(frames: list[bytes], uid: str) -> Callable[[], object]:
    out = np.zeros((512, 512), np.uint16)
    if uid == RLE:
        return lambda: [decode_rle(frame, out) for frame in frames]
    streams = [read_codestream(frame, uid) for frame in frames]
    return lambda: [decode(frame, stream, out) for frame, stream in zip(frames, streams, strict=True)]


def read_with_pydicom(folder: Path) -> np.ndarray:
    slices = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    return np.stack([ds.pixel_array for ds in slices])


def read_with_simpleitk(folder: Path) -> np.ndarray:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def contestants(folder: Path, uid: str) -> dict[str, Callable[[], object]]:
    series = one_series(folder)
    frames = [frame_of(header.path) for header in series.headers]
    return {
        "the codec": the_codec_alone(frames, uid),
        "dlp-lab, pixels": lambda: read_volume(series).voxels,
        "dlp-lab, folder": lambda: read_volume(one_series(folder)).voxels,
        "dlp.read_series": lambda: dlp.read_series(folder).voxels,
        "pydicom loop": partial(read_with_pydicom, folder),
        "SimpleITK": partial(read_with_simpleitk, folder),
    }


def cpu_seconds() -> float:
    """Of this process and of all that it started and that ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    return cpu_seconds() - cpu, time.perf_counter() - wall


def compare(name: str, slices: int, rounds: int) -> list[Sequence[Cell]]:
    """The rows of one transfer syntax."""
    uid = SYNTAXES[name].uid
    with tempfile.TemporaryDirectory() as root:
        expected = write_series(Path(root), name, slices)
        runs = contestants(Path(root), uid)
        times: dict[str, list[tuple[float, float]]] = {contestant: [] for contestant in runs}
        others = set()
        for contestant, run in runs.items():
            result = run()
            if isinstance(result, np.ndarray) and not np.array_equal(result, expected):
                others.add(contestant)
        for _ in range(rounds):
            for contestant, run in runs.items():
                times[contestant].append(measured(run))
    codec = min(cpu for cpu, _ in times["the codec"])
    rows: list[Sequence[Cell]] = []
    for contestant, each in times.items():
        cpu, wall = (min(column) for column in zip(*each, strict=True))
        spread = f"{wall * 1e3:.0f} to {max(wall for _, wall in each) * 1e3:.0f}"
        what = f"{name}: {contestant}{', other values' if contestant in others else ''}"
        rows.append((what, cpu * 1e3, cpu / codec, wall * 1e3, spread, wall / codec))
    return rows


def main() -> None:
    asked = Asked.on_the_command_line(__doc__, 40)
    rounds = asked.rounds(ROUNDS)
    rows = [row for name in NAMES for row in compare(name, asked.slices, rounds)]
    Table(
        f"Compressed series of {asked.slices} x 512 x 512, beside the codec alone",
        ("", "processor, ms", "x the codec", "wall, ms", "spread", "x the codec, wall"),
        rows,
        f"The least of {rounds} rounds. x: as a multiple of the codec's processor time; "
        f"{available_processors()} cores.",
    ).print().write(asked.results / "compressed.json")


if __name__ == "__main__":
    main()
