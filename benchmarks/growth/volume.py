"""Cost over the size of the volume: what a voxel costs should stay the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.blur_job import blur, blur_and_keep_hdf5
from benchmarks.growth.curve import FLAT, Curve, Growth
from benchmarks.read_write import read
from benchmarks.rounds import Times, leave_free_pages
from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
from dlp_lab.kernels.gaussian import gaussian_filter
from dlp_lab.result_memory import new_array
from dlp_lab.tasks.task import no_report

SIGMA_MM = 1.5
SIGMA_KJI = (1.5, 1.5 / 0.7, 1.5 / 0.7)
THREADS = 2
JOBS = {"job, DICOM to DICOM": blur, "job, and HDF5": blur_and_keep_hdf5}
READING, KERNEL = "reading alone", "the Gaussian alone"


def run_job(name: str, source: Path) -> None:
    """Its result lies beside the source, and is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=source.parent) as target:
        JOBS[name](str(source), target, str(SIGMA_MM))


def smooth(voxels: NDArray[np.int16]) -> NDArray[np.float32]:
    """The filter alone, into new memory as a task gets it."""
    result = new_array(voxels.shape, np.float32, THREADS)
    return gaussian_filter(
        voxels, SIGMA_KJI, truncate=4.0, mode="nearest", threads=THREADS, report=no_report, result=result
    )


def measure(folder: Path, is_short: bool) -> Growth:
    """Series of more and more slices, each in turn; the least processor time of the rounds."""
    depths, rounds = ([4, 8], 1) if is_short else ([25, 50, 100, 200, 400], 3)
    series = write_scanner_series(folder / "series", max(depths))
    noise = np.random.default_rng(0).integers(-1000, 3000, (max(depths), ROWS, COLUMNS), np.int16)
    runs = {}
    for slices in depths:
        source = folder / str(slices)
        source.mkdir()
        for path in series.files[:slices]:
            os.link(path, source / path.name)
        for name in JOBS:
            runs[name, slices] = partial(run_job, name, source)
        runs[READING, slices] = partial(read, str(source))
        runs[KERNEL, slices] = partial(smooth, noise[:slices])
    shutil.rmtree(folder / "series")
    times = {key: Times() for key in runs}
    for name in (*JOBS, READING, KERNEL):
        runs[name, depths[0]]()
    for _ in range(rounds):
        for key, run in runs.items():
            leave_free_pages(4 * key[1] * ROWS * COLUMNS)  # one would else find what another left
            times[key].add(run)
    curves = [
        Curve(
            name,
            [(slices, 1e9 * min(times[name, slices].cpu_s) / (slices * ROWS * COLUMNS)) for slices in depths],
            FLAT,
        )
        for name in (*JOBS, READING, KERNEL)
    ]
    return Growth("3dblur, sigma 1.5 mm", "slices of 512 x 512", "processor time, ns a voxel", curves)
