"""The 3-D Gaussian beside its peers, and how its cost grows.

    python -m benchmarks.gaussian [SLICES] [--short]

A volume of SLICES x 512 x 512 int16 (default 120), voxels of 1.0 x 0.7 x 0.7 mm, sigma 1.5 mm, cut at 4 sigma, two
threads for whoever can use them. All contestants run in turn, round after round; printed are the medians of wall time
and of processor time (which other programs on the machine disturb less) and both as multiples of ours. The first use is
not counted, but for the line that says what it takes.

* dlp-lab in machine code (llvmlite), with a result in float32 or rounded to int16, and by the BLAS of numpy as where
  llvmlite is not installed.
* scipy `gaussian_filter` with a result in float32; OpenCV `sepFilter2D` on slices, then on slabs across them, the same
  result (`pip install dlp-lab[bench]`); SimpleITK `SmoothingRecursiveGaussian`, an approximation.
* a copy of the volume in float32: nothing that writes the result can be faster.

Pages of memory that no process has touched cost as much as a pass over the volume. So all are measured twice, in the
same rounds: into new memory, and into memory that is there (`result=`, scipy's `output=`, OpenCV's `dst=`; SimpleITK
always makes an image of its own). Before each turn all memory that is nobody's goes back to the system, which has as
much of it free for everyone; a result is freed when its time is taken.

Then cost over sigma; over the number of slices it is told by `benchmarks.curves`.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the processes of jobs, whose threads are the filter's own

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.contest import Asked
from benchmarks.rounds import Times, comparison, in_turn, leave_free_pages
from benchmarks.tables import Table
from dlp_lab.kernels import gaussian
from dlp_lab.kernels.compiled import FORBIDDEN_VARIABLE, compiled_passes
from dlp_lab.kernels.gaussian import gaussian_filter
from dlp_lab.kernels.gaussian_weights import gaussian_weights
from dlp_lab.kernels.passes import BandedPasses, Passes
from dlp_lab.result_memory import new_array
from dlp_lab.tasks.task import no_report

SPACING_KJI_MM = (1.0, 0.7, 0.7)
SIGMA_MM = 1.5
THREADS = 2
ROUNDS = 5
_VOLUMES_AT_ONCE = 4
"""As many in float32 as the greediest contestant asks for."""
OURS, ROUNDED, BLAS = "dlp-lab, machine code", "dlp-lab, machine code, to int16", "dlp-lab, numpy's BLAS"
SCIPY, ITK, FLOOR = "scipy gaussian_filter", "SimpleITK recursive Gaussian", "floor: a copy"
KEPT = ", memory that is there"

Voxels = NDArray[Any]
Run = Callable[..., Voxels]
"""Called with the volume, sigma in mm and, if it is there, the memory of the result."""


def sigma_kji(sigma_mm: float) -> tuple[float, ...]:
    return tuple(sigma_mm / mm for mm in SPACING_KJI_MM)


def with_passes(passes: Passes, dtype: type = np.float32) -> Run:
    def smooth(voxels: Voxels, sigma_mm: float, result: Voxels | None = None) -> Voxels:
        usual, gaussian._passes = gaussian._passes, lambda _: passes
        result = new_array(voxels.shape, dtype, THREADS) if result is None else result
        try:
            return gaussian_filter(
                voxels,
                sigma_kji(sigma_mm),
                truncate=4.0,
                mode="nearest",
                threads=THREADS,
                report=no_report,
                result=result,
            )
        finally:
            gaussian._passes = usual

    return smooth


def with_scipy(voxels: Voxels, sigma_mm: float, result: Voxels | None = None) -> Voxels:
    output = np.float32 if result is None else result
    smoothed: Voxels = ndimage.gaussian_filter(voxels, sigma_kji(sigma_mm), mode="nearest", output=output)
    return smoothed


def with_opencv(voxels: Voxels, sigma_mm: float, result: Voxels | None = None) -> Voxels:
    import cv2

    cv2.setNumThreads(THREADS)
    along_k, along_j, along_i = (gaussian_weights(sigma, 4.0) for sigma in sigma_kji(sigma_mm))
    result = np.empty(voxels.shape, np.float32) if result is None else result
    edge = cv2.BORDER_REPLICATE
    for plane, smooth in zip(voxels, result, strict=True):
        cv2.sepFilter2D(plane, cv2.CV_32F, along_i, along_j, dst=smooth, borderType=edge)
    columns = result.reshape(len(result), -1)
    for start in range(0, columns.shape[1], 8192):
        slab = columns[:, start : start + 8192]
        cv2.sepFilter2D(slab, cv2.CV_32F, np.ones(1, np.float32), along_k, dst=slab, borderType=edge)
    return result


def with_simpleitk(voxels: Voxels, sigma_mm: float, result: Voxels | None = None) -> Voxels:
    image = SimpleITK.GetImageFromArray(voxels.astype(np.float32))
    image.SetSpacing(SPACING_KJI_MM[::-1])
    return SimpleITK.GetArrayFromImage(SimpleITK.SmoothingRecursiveGaussian(image, sigma_mm))


def copy_of(voxels: Voxels) -> Run:
    source = voxels.astype(np.float32)

    def copy(voxels: Voxels, sigma_mm: float, result: Voxels | None = None) -> Voxels:
        result = np.empty_like(source) if result is None else result
        np.copyto(result, source)
        return result

    return copy


def contestants(voxels: Voxels) -> dict[str, Run]:
    """All that are installed, ours first."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    compiled = compiled_passes()
    assert compiled is not None, "llvmlite is not installed: pip install dlp-lab[fast]"
    with_cv = importlib.util.find_spec("cv2") is not None
    if not with_cv:
        print("OpenCV is not installed and takes no part")
    return {
        OURS: with_passes(compiled),
        ROUNDED: with_passes(compiled, np.int16),
        BLAS: with_passes(BandedPasses()),
        **({"OpenCV sepFilter2D": with_opencv} if with_cv else {}),
        SCIPY: with_scipy,
        ITK: with_simpleitk,
        FLOOR: copy_of(voxels),
    }


def some_voxels(slices: int) -> Voxels:
    return np.random.default_rng(0).integers(-1000, 3000, (slices, 512, 512), np.int16)


def compare(asked: Asked) -> None:
    voxels = some_voxels(asked.slices)
    runs = contestants(voxels)
    reference = with_scipy(voxels, SIGMA_MM)
    off = {name: float(np.abs(run(voxels, SIGMA_MM) - reference).max()) for name, run in runs.items()}
    there = {np.dtype(kind): np.ones(voxels.shape, kind) for kind in (np.float32, np.int16)}
    new = {name: partial(run, voxels, SIGMA_MM) for name, run in runs.items()}
    kept = {
        name + KEPT: partial(run, voxels, SIGMA_MM, there[np.dtype(np.int16 if name == ROUNDED else np.float32)])
        for name, run in runs.items()
        if name != ITK
    }
    times = in_turn(
        new | kept, asked.rounds(ROUNDS), before=partial(leave_free_pages, _VOLUMES_AT_ONCE * 4 * voxels.size)
    )
    title = f"The Gaussian: {asked.slices} x 512 x 512 int16, sigma {SIGMA_MM} mm, {THREADS} threads"
    furthest = ", ".join(f"{name} by {most:.2g}" for name, most in off.items() if name not in (FLOOR, SCIPY))
    copy = times[FLOOR + KEPT]
    for group, where, file in (
        (new, "into new memory", "gaussian.json"),
        (kept, "into memory that is there", "gaussian_kept.json"),
    ):
        ours = times[OURS if group is new else OURS + KEPT]
        note = (
            f"x: as a multiple of {OURS}, which takes {ours.wall / copy.wall:.1f} times (least: "
            f"{min(ours.wall_s) / min(copy.wall_s):.1f}) one copy into memory that is there. "
            f"From scipy's values, which range over 4000, differ at most: {furthest}."
        )
        shown = {name.removesuffix(KEPT): times[name] for name in group}
        comparison(f"{title}, {where}", shown, reference=OURS, voxels=voxels.size, note=note).print().write(
            asked.results / file
        )


def curve_over_sigma(asked: Asked) -> None:
    slices = max(8, asked.slices // 3)
    voxels = some_voxels(slices)
    runs = {name: run for name, run in contestants(voxels).items() if name in (OURS, BLAS, SCIPY)}
    rows = []
    for sigma_mm in (0.5, 1.0) if asked.is_short else (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0):
        times = {name: Times() for name in runs}
        for _ in range(asked.rounds(2)):
            for name, run in runs.items():
                times[name].add(partial(run, voxels, sigma_mm))
        rows.append((f"{sigma_mm:g}", *(1e9 * min(one.cpu_s) / voxels.size for one in times.values())))
    Table(
        f"The Gaussian over sigma: processor time in ns a voxel, {slices} x 512 x 512",
        ("sigma, mm", *runs),
        rows,
        "The least of the rounds.",
    ).print().write(asked.results / "gaussian_sigma.json")


_OURS_FIRST = """
from dlp_lab.kernels.gaussian import gaussian_filter
gaussian_filter(voxels, sigma, truncate=4.0, mode="nearest", threads=2, report=lambda fraction, message: None)
"""
_SCIPY_FIRST = """
from scipy import ndimage
ndimage.gaussian_filter(voxels, sigma, mode="nearest", output=np.float32)
"""
_FIRST_USE = """
import time, numpy as np
voxels, sigma = np.zeros(({slices}, 512, 512), np.int16), {sigma}
start = time.perf_counter(){use}print(time.perf_counter() - start)
"""


def first_use(asked: Asked) -> None:
    """What the first filtering of a process takes, imports and all; and the memory of a large volume."""
    rows = []
    for slices in (1, 30):
        for what, use, forbidden in (
            (OURS, _OURS_FIRST, ""),
            (BLAS, _OURS_FIRST, "1"),
            (SCIPY, _SCIPY_FIRST, ""),
        ):
            code = _FIRST_USE.format(slices=slices, sigma=sigma_kji(SIGMA_MM), use=use)
            environment = {**os.environ, FORBIDDEN_VARIABLE: forbidden}
            seconds = [
                float(subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment).stdout)
                for _ in range(asked.rounds(3))
            ]
            rows.append((f"first use in a process, {slices} x 512 x 512: {what}", f"{1e3 * min(seconds):.0f} ms"))
    rows.append(("memory beside source and result", extra_memory(asked.slices)))
    Table("The Gaussian: first use and memory", ("", ""), rows).print().write(asked.results / "gaussian_first_use.json")


_EXTRA_MEMORY = """
import numpy as np
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.kernels.gaussian import gaussian_filter
compiled_passes()
def most():  # not ru_maxrss, which begins with that of the process before exec
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
voxels = np.ones(({slices}, 512, 512), np.int16)
before = most()
result = gaussian_filter(voxels, {sigma}, truncate=4.0, mode="nearest", threads=2, report=lambda *told: None)
extra = most() - before - result.nbytes
print(f"{{extra / 2**20:.0f}} MiB, {{100 * extra / voxels.nbytes:.1f}} % of the volume")
"""


def extra_memory(slices: int) -> str:
    """What the filter takes beside its input and its result."""
    code = _EXTRA_MEMORY.format(slices=slices, sigma=sigma_kji(SIGMA_MM))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True)
    return ran.stdout.decode().strip()


def main() -> int:
    """Print and keep all tables."""
    asked = Asked.on_the_command_line(__doc__, 120)
    compare(asked)
    curve_over_sigma(asked)
    first_use(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
