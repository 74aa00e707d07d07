"""Cost over the size of the volume: what a voxel costs should stay the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.blur_job import blur
from benchmarks.growth.curve import FLAT, Curve, Growth
from benchmarks.rounds import Times
from benchmarks.scanner_series import COLUMNS, ROWS, write_scanner_series
from dlp_lab.jobs.memory_share import SHARE_VARIABLE
from dlp_lab.kernels.gaussian import gaussian_filter
from dlp_lab.tasks.task import no_report

SIGMA_MM = 1.5
SPACING_KJI_MM = (1.0, 0.7, 0.7)
JOBS = {"job, whole volumes": "1", "job, in slabs": "0"}
"""What share of the free memory the job may take."""
KERNEL = "the Gaussian alone"


@contextmanager
def share_of_memory(share: str) -> Iterator[None]:
    """While it lasts, jobs may take so much of the free memory."""
    before = os.environ.get(SHARE_VARIABLE)
    os.environ[SHARE_VARIABLE] = share
    try:
        yield
    finally:
        del os.environ[SHARE_VARIABLE]
        if before is not None:
            os.environ[SHARE_VARIABLE] = before


def run_job(source: Path, share: str) -> None:
    """DICOM to DICOM, beside the source."""
    with share_of_memory(share), tempfile.TemporaryDirectory(dir=source.parent) as target:
        blur(str(source), target, str(SIGMA_MM))


def measure(folder: Path, is_short: bool) -> Growth:
    """Series of more and more slices, each in turn; the least processor time of the rounds."""
    depths, rounds = ([4, 8], 1) if is_short else ([25, 50, 100, 200, 400], 5)
    series = write_scanner_series(folder / "series", max(depths))
    for slices in depths:
        (folder / str(slices)).mkdir()
        for path in series.files[:slices]:
            os.link(path, folder / str(slices) / path.name)
    noise = np.random.default_rng(0).integers(-1000, 3000, (max(depths), ROWS, COLUMNS), np.int16)
    sigma_kji = [SIGMA_MM / mm for mm in SPACING_KJI_MM]
    times = {(name, slices): Times() for name in (*JOBS, KERNEL) for slices in depths}
    run_job(folder / str(depths[0]), "1")
    for _ in range(rounds):
        for slices in depths:
            for name, share in JOBS.items():
                times[name, slices].add(partial(run_job, folder / str(slices), share))
            times[KERNEL, slices].add(
                partial(
                    gaussian_filter,
                    noise[:slices],
                    sigma_kji,
                    truncate=4.0,
                    mode="nearest",
                    threads=2,
                    report=no_report,
                )
            )
    shutil.rmtree(folder / "series")
    curves = [
        Curve(
            name,
            [(slices, 1e9 * min(times[name, slices].cpu_s) / (slices * ROWS * COLUMNS)) for slices in depths],
            FLAT,
        )
        for name in (*JOBS, KERNEL)
    ]
    return Growth("3dblur, sigma 1.5 mm", "slices of 512 x 512", "processor time, ns a voxel", curves)
