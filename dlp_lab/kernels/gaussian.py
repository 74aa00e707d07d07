"""Separable Gaussian convolution of a 3-D array. Plain arrays in, plain arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.kernels.edges import EdgeMode, plain_mode
from dlp_lab.kernels.gaussian_weights import AS_IT_IS, gaussian_weights
from dlp_lab.kernels.passes import BandedPasses, Passes, PlainPasses, Result, round_into
from dlp_lab.kernels.separable import Convolution, SlabConvolution

_WIDE_TAPS = 64
"""So many taps more than half of an axis has voxels take as long as a product with a matrix."""


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

    Axes go through `Convolution`, all at once, but for those with a kernel that is about as wide as they are: these go
    through `wide_kernels` afterwards.

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
            kernel is wide, sums are kept in float32 until they are rounded.

    Returns:
        `result`, or a new float32 array.

    Raises:
        ValueError: `result` is not as told above.
    """
    if result is None:
        result = np.empty(voxels.shape, np.float32)
    _check_result(result, voxels)
    if result.dtype == np.int16 and not edge_fits_int16(mode, cval):
        raise ValueError(f"sums of {cval:g}, which lies beyond the edge, may be too large for int16")
    if not voxels.size:
        return result
    kernels = _kernels(voxels.shape, sigma_kji, truncate, mode)
    is_wide = wide_axes(kernels, voxels)
    steps = 2 if any(is_wide) else 1
    report(0.0, "smoothing")
    k, j, i = (AS_IT_IS if wide else weights for weights, wide in zip(kernels, is_wide, strict=True))
    # what is mixed afterwards is rounded once, at the end
    sums: Any = np.empty(voxels.shape, np.float32) if any(is_wide) and result.dtype != np.float32 else result
    convolution = Convolution((k, j, i), mode, _passes(voxels), cval)
    convolution.apply(voxels, sums, threads, lambda fraction, message: report(fraction / steps, message))
    if any(is_wide):
        from dlp_lab.kernels.wide_kernels import line_mixing, mix_volume  # few kernels are wide

        mixings = [
            line_mixing(sigma, truncate, length, mode, cval) if wide else None
            for sigma, length, wide in zip(sigma_kji, voxels.shape, is_wide, strict=True)
        ]
        mix_volume(sums, mixings, threads, lambda fraction: report((1 + fraction) / steps, "smoothing"))
    if sums is not result:
        for plane, rounded in zip(sums, result, strict=True):
            round_into(rounded, plane)
    report(1.0, "smoothed")
    return result


def edge_fits_int16(mode: EdgeMode, cval: float) -> bool:
    """Whether no sum leaves the range of int16 for what lies beyond the edge, where the voxels themselves do not."""
    return plain_mode(mode) != "constant" or -(2**15) <= cval < 2**15


def gaussian_in_slabs(
    shape_kji: Sequence[int],
    sigma_kji: Sequence[float],
    *,
    truncate: float,
    mode: EdgeMode,
    threads: int,
    cval: float = 0.0,
) -> SlabConvolution | None:
    """`gaussian_filter` of a volume whose slices come slab by slab, in order; its bits are those of the whole volume's.

    Args:
        shape_kji: Of the volume. Without machine code its values must be finite: in one that is not, other voxels than
            in scipy become so too.
        sigma_kji, truncate, mode, threads, cval: As there.

    Returns:
        None where the volume is needed whole: its ends are next to each other, or a kernel is as wide as its axis.
    """
    k, j, i = kernels = _kernels(shape_kji, sigma_kji, truncate, mode)
    if plain_mode(mode) == "wrap" or len(k) // 2 >= shape_kji[0] > 1 or any(_wide_by_shape(kernels, shape_kji)):
        return None
    return SlabConvolution(Convolution((k, j, i), mode, compiled_passes() or BandedPasses(), cval), shape_kji, threads)


def _kernels(
    shape_kji: Sequence[int], sigma_kji: Sequence[float], truncate: float, mode: EdgeMode
) -> tuple[Floats, Floats, Floats]:
    # a single plane, row or column is all there is, unless a constant lies beyond it
    is_alone = [length == 1 and plain_mode(mode) != "constant" for length in shape_kji]
    k, j, i = (
        AS_IT_IS if alone else gaussian_weights(sigma, truncate)
        for sigma, alone in zip(sigma_kji, is_alone, strict=True)
    )
    return k, j, i


def wide_axes(kernels: Sequence[Floats], voxels: NDArray[Any]) -> list[bool]:
    """Which axes are better multiplied by matrices."""
    is_wide = _wide_by_shape(kernels, voxels.shape)
    known = [
        wide and len(weights) // 2 >= length
        for wide, weights, length in zip(is_wide, kernels, voxels.shape, strict=True)
    ]
    # what is not finite reaches as far as its taps, and in a product all of its line
    return is_wide if is_wide == known or _are_finite(voxels) else known


def _wide_by_shape(kernels: Sequence[Floats], shape_kji: Sequence[int]) -> list[bool]:
    """Which axes those are, if all values are finite.

    Across planes, only where the kernel reaches all of them: a slab has fewer, and its values are those of the volume,
    bit for bit.
    """
    axes = list(zip(kernels, shape_kji, strict=True))
    planes, *others = (len(weights) > _WIDE_TAPS + length // 2 for weights, length in axes)
    return [planes and len(kernels[0]) // 2 >= shape_kji[0], *others]


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


def _passes(voxels: NDArray[Any]) -> Passes:
    """Who is to make the sums: the fastest who can."""
    compiled = compiled_passes()
    if compiled is not None:
        return compiled
    return BandedPasses() if _are_finite(voxels) else PlainPasses()


def _are_finite(voxels: NDArray[Any]) -> bool:
    return voxels.dtype.kind != "f" or all(bool(np.isfinite(plane).all()) for plane in voxels)
