"""Separable Gaussian convolution of a 3-D array. Plain arrays in, plain arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

EdgeMode = Literal["nearest", "reflect", "mirror", "wrap"]

_SLAB_BYTES = 16 * 2**20


def radius_voxels(sigma_voxels: float, truncate: float) -> int:
    """Half width of the kernel, as `scipy.ndimage.gaussian_filter1d` has it."""
    return int(truncate * sigma_voxels + 0.5) if sigma_voxels > 0 else 0


def gaussian_filter(
    voxels: NDArray[Any],
    sigma_kji: Sequence[float],
    *,
    truncate: float,
    mode: EdgeMode,
    report: Callable[[float, str], None],
) -> NDArray[np.float32]:
    """Gaussian filter, bit-equal to `scipy.ndimage.gaussian_filter(voxels.astype(float32), ...)`.

    The array is filtered slab by slab along an axis that the pass leaves alone, so that progress shows and the passes
    run in the result, without a second array of its size.

    Args:
        voxels: `(k, j, i)` array of any real dtype; not changed.
        sigma_kji: Standard deviation per axis in voxels; 0 leaves the axis as it is.
        truncate: The kernel ends at this many standard deviations.
        mode: What lies beyond the edge, as in scipy.
        report: Called with the fraction done and the step's name.

    Returns:
        New `(k, j, i)` float32 array.
    """
    from scipy import ndimage  # 0.2 s of import that the command line's other subcommands need not pay

    result = voxels.astype(np.float32)
    slabs_along = (1, 0, 0)
    for axis, (sigma, along) in enumerate(zip(sigma_kji, slabs_along, strict=True)):
        # gaussian_filter itself leaves out axes with so small a sigma
        if sigma <= 1e-15:
            continue
        thickness = max(1, _SLAB_BYTES * result.shape[along] // result.nbytes)
        for start in range(0, result.shape[along], thickness):
            report((axis + start / result.shape[along]) / 3, f"smoothing along axis {axis + 1} of 3")
            slab = result[(slice(None),) * along + (slice(start, start + thickness),)]
            # in place, as scipy's own 3-D filter does it from the second axis on
            ndimage.gaussian_filter1d(slab, sigma, axis=axis, mode=mode, truncate=truncate, output=slab)
    report(1.0, "smoothed")
    return result
