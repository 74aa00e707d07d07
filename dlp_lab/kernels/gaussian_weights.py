"""The taps of a Gaussian, as scipy has them."""

from __future__ import annotations

from typing import Final

import numpy as np

from dlp_lab.kernels.blocks import Floats

AS_IT_IS: Final[Floats] = np.ones(1, np.float32)
"""Leaves an axis as it is."""


def radius_voxels(sigma_voxels: float, truncate: float) -> int:
    """Half width of the kernel, as `scipy.ndimage.gaussian_filter1d` has it."""
    return int(truncate * sigma_voxels + 0.5) if sigma_voxels > 0 else 0


def gaussian_weights(sigma_voxels: float, truncate: float) -> Floats:
    """Weights of a kernel, with the sum 1."""
    # gaussian_filter of scipy leaves out axes with so small a sigma
    radius = radius_voxels(sigma_voxels, truncate)
    if sigma_voxels <= 1e-15 or radius == 0:
        return AS_IT_IS
    weights = np.exp(-0.5 / sigma_voxels**2 * np.arange(-radius, radius + 1) ** 2)
    rounded: Floats = (weights / weights.sum()).astype(np.float32)
    return rounded
