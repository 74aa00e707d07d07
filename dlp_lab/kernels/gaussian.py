"""Separable Gaussian convolution of a 3-D array. Plain arrays in, plain arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.kernels.edges import BEYOND, EdgeMode, inside, plain_mode
from dlp_lab.kernels.passes import BandedPasses, Passes, PlainPasses, Result, round_into
from dlp_lab.kernels.separable import Convolution

_SLAB_BYTES = 2 * 2**20
_AS_IT_IS: Floats = np.ones(1, np.float32)


def radius_voxels(sigma_voxels: float, truncate: float) -> int:
    """Half width of the kernel, as `scipy.ndimage.gaussian_filter1d` has it."""
    return int(truncate * sigma_voxels + 0.5) if sigma_voxels > 0 else 0


def gaussian_filter(
    voxels: NDArray[Any],
    sigma_kji: Sequence[float],
    *,
    truncate: float,
    mode: EdgeMode,
    threads: int,
    report: Callable[[float, str], None],
    cval: float = 0.0,
    result: Result | None = None,
) -> Result:
    """Gaussian filter: `scipy.ndimage.gaussian_filter(voxels.astype(float32), ...)` but for the rounding of float32.

    Axes whose kernel is shorter than they are go through `Convolution`, all at once. For a wider kernel every voxel of
    a line counts for every other one, at any sigma: the pass is a product with a square matrix.

    Args:
        voxels: `(k, j, i)` array of any real dtype; not changed.
        sigma_kji: Standard deviation per axis in voxels; 0 leaves the axis as it is.
        truncate: The kernel ends at this many standard deviations.
        mode: What lies beyond the edge, as in scipy.
        threads: How many to use.
        report: Called with the fraction done and the step's name; what it raises ends the work.
        cval: The value beyond the edge where the mode is constant or grid-constant; other modes do not look at it.
        result: Where to write: a C-contiguous `(k, j, i)` array that shares no memory with `voxels`. One of float32
            takes the sums; one of int16 takes them rounded, half to even, which needs a source whose values are all of
            int16, and so must `cval` be: weights have the sum 1, so that no sum leaves the range of the source. Where a
            kernel is wider than its axis, sums are kept in float32 until they are rounded.

    Returns:
        `result`, or a new float32 array.

    Raises:
        ValueError: `result` is not as told above.
    """
    if result is None:
        result = np.empty(voxels.shape, np.float32)
    _check_result(result, voxels)
    if result.dtype == np.int16 and plain_mode(mode) == "constant" and not -(2**15) <= cval < 2**15:
        raise ValueError(f"sums of {cval:g}, which lies beyond the edge, may be too large for int16")
    if not voxels.size:
        return result
    kernels = [gaussian_weights(sigma, truncate) for sigma in sigma_kji]
    is_long = [len(weights) // 2 >= length > 1 for weights, length in zip(kernels, voxels.shape, strict=True)]
    report(0.0, "smoothing")
    k, j, i = (_AS_IT_IS if long else weights for weights, long in zip(kernels, is_long, strict=True))
    # what is mixed afterwards is rounded once, at the end
    sums: Any = np.empty(voxels.shape, np.float32) if any(is_long) and result.dtype != np.float32 else result
    Convolution((k, j, i), mode, _passes(voxels), cval).apply(voxels, sums, threads, report)
    for axis, weights in enumerate(kernels):
        if is_long[axis]:
            report(1.0, f"smoothing along axis {axis + 1} of 3")
            _mix_lines(sums, axis, *_mixing_matrix(weights, voxels.shape[axis], mode, cval))
    if sums is not result:
        for plane, rounded in zip(sums, result, strict=True):
            round_into(rounded, plane)
    report(1.0, "smoothed")
    return result


def _check_result(result: Result, voxels: NDArray[Any]) -> None:
    if result.dtype not in (np.float32, np.int16) or result.shape != voxels.shape or not result.flags.c_contiguous:
        raise ValueError(
            f"the result is a C-contiguous float32 or int16 array of the shape {voxels.shape}, "
            f"not {result.dtype} of {result.shape} with strides {result.strides}"
        )
    if result.dtype == np.int16 and not np.can_cast(voxels.dtype, np.int16):
        raise ValueError(f"sums of {voxels.dtype} may be too large for int16; write them into a float32 array")
    if np.may_share_memory(result, voxels):
        raise ValueError("the result shares memory with the volume; voxels are read after others are written")


def halo_slices(radius: int) -> int:
    """How many slices a slab needs beside its own, so that these come out bit for bit as in the whole volume.

    It begins at a multiple of `BLOCK` slices. Machine code makes the same sums wherever it does; of BLAS that is known
    only of whole blocks.
    """
    return radius if compiled_passes() is not None else -(-radius // BLOCK) * BLOCK


def gaussian_weights(sigma_voxels: float, truncate: float) -> Floats:
    """Weights of a kernel, with the sum 1."""
    # gaussian_filter of scipy leaves out axes with so small a sigma
    radius = radius_voxels(sigma_voxels, truncate)
    if sigma_voxels <= 1e-15 or radius == 0:
        return _AS_IT_IS
    weights = np.exp(-0.5 / sigma_voxels**2 * np.arange(-radius, radius + 1) ** 2)
    rounded: Floats = (weights / weights.sum()).astype(np.float32)
    return rounded


def _passes(voxels: NDArray[Any]) -> Passes:
    """Who is to make the sums: the fastest who can."""
    compiled = compiled_passes()
    if compiled is not None:
        return compiled
    is_finite = voxels.dtype.kind != "f" or all(bool(np.isfinite(plane).all()) for plane in voxels)
    return BandedPasses() if is_finite else PlainPasses()


def _mixing_matrix(weights: Floats, length: int, mode: EdgeMode, cval: float) -> tuple[Floats, Floats]:
    """What takes a line to its sums: a `(length, length)` matrix, and what a constant beyond its ends adds to them."""
    reach = len(weights) // 2
    matrix = np.zeros((length, length + 1))
    for n, row in enumerate(matrix):
        np.add.at(row, inside(np.arange(n - reach, n + reach + 1), length, mode), weights)  # `BEYOND` is the last
    return matrix[:, :length].astype(np.float32), (cval * matrix[:, BEYOND]).astype(np.float32)


def _mix_lines(values: Floats, axis: int, matrix: Floats, added: Floats) -> None:
    """Multiply all lines along an axis by a matrix and add to them, in place, slab by slab.

    Each plane is a product of its own, and none depends on which planes are beside it: BLAS rounds a sum by its place.
    """
    slabs = np.moveaxis(values, 1, 0) if axis == 0 else values
    slab_slices = max(1, _SLAB_BYTES * len(slabs) // values.nbytes)
    for start in range(0, len(slabs), slab_slices):
        slab = slabs[start : start + slab_slices]
        mixed = np.matmul(slab, matrix.T) if axis == 2 else np.matmul(matrix, slab)
        np.add(mixed, added if axis == 2 else added[:, np.newaxis], out=slab)
