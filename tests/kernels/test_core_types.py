"""OpenBLAS has kernels for each kind of processor, which round differently.

With all of them the bits of a slab are those of the volume.

Each kind is looked at in a process of its own, for OpenBLAS chooses when it is loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from dlp_lab.kernels.compiled import FORBIDDEN_VARIABLE

NEEDED = {"Nehalem": "sse4.2", "Sandybridge": "avx", "Haswell": "fma", "SkylakeX": "avx512f"}
"""What a processor must have to run the kernels of another."""

CODE = """
from functools import partial
import numpy as np
from dlp_lab.kernels import gaussian, separable
from dlp_lab.kernels.gaussian import gaussian_filter, halo_slices
from dlp_lab.kernels.gaussian_weights import radius_voxels

cases = (70, (2, 3, 1.5), 16), (121, (3.7, 0.4, 9), 48), (48, (1, 90, 12), 32), (130, (2, 30, 40), 16)
for columns, sigma_kji, rows in cases:
    voxels = np.random.default_rng(0).normal(0, 1000, (72, 100, columns)).astype(np.float32)
    mode = "constant" if columns == 70 else "reflect"
    smoothed = partial(
        gaussian_filter, sigma_kji=sigma_kji, truncate=4.0, mode=mode, cval=55.5, report=lambda *_: None
    )
    separable._ROWS_OF_A_STRIP = 64
    whole = smoothed(voxels, threads=1)
    separable._ROWS_OF_A_STRIP = rows
    np.testing.assert_array_equal(smoothed(voxels, threads=3), whole)
    halo = halo_slices(radius_voxels(sigma_kji[0], 4.0))
    for start, stop in ((0, 16), (16, 48), (32, 55), (64, 72)):
        first, last = max(0, start - halo), min(len(voxels), stop + halo)
        slab = smoothed(voxels[first:last], threads=2)
        np.testing.assert_array_equal(slab[start - first : stop - first], whole[start:stop])
"""


def openblas_has_core_types() -> bool:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return "openblas" in blas["name"] and "DYNAMIC_ARCH" in blas.get("openblas configuration", "")


@pytest.mark.skipif(not openblas_has_core_types(), reason="numpy's BLAS has kernels for one kind of processor")
@pytest.mark.parametrize("core_type", NEEDED)
def test_slabs_and_strips_have_the_bits_of_the_volume_with_the_kernels_of(core_type):
    llvmlite = pytest.importorskip("llvmlite.binding")
    if not llvmlite.get_host_cpu_features().get(NEEDED[core_type]):
        pytest.skip(f"this processor has no {NEEDED[core_type]}")
    told = {"OPENBLAS_CORETYPE": core_type, "OPENBLAS_VERBOSE": "2", FORBIDDEN_VARIABLE: "1"}
    ran = subprocess.run([sys.executable, "-c", CODE], env={**os.environ, **told}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert f"Core: {core_type}" in ran.stderr
