"""Cost over sigma: in proportion to the taps of the three axes, until a kernel is wide; from then on, at most flat."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.growth.curve import Curve, Growth, Law
from benchmarks.rounds import Times
from dlp_lab.kernels.gaussian import gaussian_filter, wide_axes
from dlp_lab.kernels.gaussian_weights import gaussian_weights
from dlp_lab.tasks.task import no_report

SPACING_KJI_MM = (1.0, 0.7, 0.7)
TRUNCATE = 4.0
MOST_FOR_SCIPY_MM = 16.0


def sigma_kji(sigma_mm: float) -> tuple[float, ...]:
    return tuple(sigma_mm / mm for mm in SPACING_KJI_MM)


def smooth(voxels: NDArray[np.int16], sigma_mm: float) -> None:
    """Ours, by two threads."""
    gaussian_filter(voxels, sigma_kji(sigma_mm), truncate=TRUNCATE, mode="nearest", threads=2, report=no_report)


def smooth_with_scipy(voxels: NDArray[np.int16], sigma_mm: float) -> None:
    ndimage.gaussian_filter(voxels.astype(np.float32), sigma_kji(sigma_mm), mode="nearest")


def measure(folder: Path, is_short: bool) -> Growth:
    """Each sigma in turn; the least processor time of the rounds."""
    shape, rounds = ((8, 64, 64), 1) if is_short else ((64, 512, 512), 3)
    voxels = np.random.default_rng(0).integers(-1000, 3000, shape, np.int16)

    def terms(sigma_mm: float) -> tuple[float, float, float]:
        kernels = [gaussian_weights(sigma, TRUNCATE) for sigma in sigma_kji(sigma_mm)]
        is_wide = wide_axes(kernels, voxels)
        return 1.0, sum(len(taps) for taps, wide in zip(kernels, is_wide, strict=True) if not wide), sum(is_wide)

    laws = {
        "dlp-lab": Law("a + b taps + c wide kernels", terms),
        "scipy": Law("a + b taps", lambda sigma_mm: (1.0, sum(8.0 * sigma + 1 for sigma in sigma_kji(sigma_mm)))),
    }
    runs = {"dlp-lab": smooth, "scipy": smooth_with_scipy}
    every_sigma = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
    of = {"dlp-lab": every_sigma, "scipy": [sigma for sigma in every_sigma if sigma <= MOST_FOR_SCIPY_MM]}
    smooth(voxels, 1.0)
    times = {(name, sigma): Times() for name, sigmas in of.items() for sigma in sigmas}
    for number in range(rounds):
        for sigma in every_sigma:
            for name, run in runs.items():
                if sigma in of[name] and not (name == "scipy" and number > 0):
                    times[name, sigma].add(partial(run, voxels, sigma))
    curves = [
        Curve(name, [(sigma, 1e9 * min(times[name, sigma].cpu_s) / voxels.size) for sigma in sigmas], laws[name])
        for name, sigmas in of.items()
    ]
    size = " x ".join(map(str, shape))
    return Growth(f"the Gaussian, {size} int16", "sigma, mm", "processor time, ns a voxel", curves)
