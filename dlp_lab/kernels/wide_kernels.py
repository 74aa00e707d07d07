"""Sums with kernels that are about as wide as their axis: products with square matrices.

Where a kernel has more taps than half its axis has voxels, most voxels count for most sums, and BLAS multiplies a line
by the matrix that takes it to its sums in less time than a loop over taps takes. Two things make it much less:

* A line that is read backwards has its sums backwards, at any edge. So the sum and the difference of a line and its
  mirror image, of half the length, are multiplied by a matrix of half the size each: half of the multiplications.
* A wide Gaussian leaves little of a line but its coarse course: such a matrix is one of few rows after one of few
  columns, within `TOLERANCE`. The wider the kernel, the fewer.

Every plane is a product of its own, so that its bits do not depend on which others there are: BLAS rounds a sum by its
place in a product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import Floats
from dlp_lab.kernels.edges import BEYOND, EdgeMode, inside, plain_mode
from dlp_lab.kernels.gaussian_weights import gaussian_weights

TOLERANCE: Final = 2e-5
"""A sum differs by no more than this part of the range of a line's values, for each axis, beside float32's rounding."""

_FEWER_BY: Final = 8
"""So many rows and columns are tried at a time, from the most important on."""

_WORTH_IT: Final = 32
"""Matrices of fewer rows cost next to nothing as they are."""

_BYTES_AT_ONCE: Final = 2**20
"""Of planes; with what becomes of them, more would not stay in the cache."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineMixing:
    """What takes lines of an axis to their sums.

    Attributes:
        even: Matrices to be multiplied by, one after the other, for the sum of a line and its mirror image: what comes
            of it is the same in both halves. A voxel in the middle is of this half, and is no sum.
        odd: Those for the difference, which in the second half comes with the other sign.
        constant: What a constant beyond the edge adds to each sum.
        kept: What is left of a line of ones; less than 1 where the rest is the constant.
    """

    even: tuple[Floats, ...]
    odd: tuple[Floats, ...]
    constant: Floats
    kept: Floats


@lru_cache(maxsize=16)
def line_mixing(sigma_voxels: float, truncate: float, length: int, mode: EdgeMode, cval: float) -> LineMixing:
    """What takes lines of some length to their sums with a Gaussian.

    Args:
        sigma_voxels, truncate: Of the kernel, which may be longer than the line.
        length: Of a line.
        mode: What lies beyond the edge.
        cval: The value there, if it is a constant.
    """
    matrix = _mixing_matrix(gaussian_weights(sigma_voxels, truncate), length, mode)
    half, upper = length // 2, len(matrix)
    beyond, matrix = matrix[:, BEYOND], matrix[:, :length]
    mirrored = matrix[:, :half], matrix[:, : upper - 1 : -1]
    even = np.hstack([(mirrored[0] + mirrored[1]) / 2, matrix[:, half:upper]])
    odd = (mirrored[0] - mirrored[1])[:half] / 2
    whole = np.minimum(np.arange(length), np.arange(length)[::-1])
    return LineMixing(
        _fewer(even, np.where(np.arange(upper) < half, 2.0, 1.0), 0),
        _fewer(odd, np.zeros(half), 1),
        (cval * beyond)[whole].astype(np.float32),
        matrix.sum(axis=1)[whole].astype(np.float32),
    )


def _mixing_matrix(weights: Floats, length: int, mode: EdgeMode) -> Doubles:
    """`(half of the length, length + 1)` matrix that takes a line to the first half of its sums, and the middle one.

    A constant beyond its ends is as one voxel more.
    """
    reach = len(weights) // 2
    distances = np.arange(-reach, reach + 1)
    # no more taps than tell places apart, however many the kernel has
    periods = {"reflect": 2 * length, "mirror": max(1, 2 * length - 2), "wrap": length}
    period = periods.get(plain_mode(mode))
    distances = np.clip(distances, -length, length) if period is None else distances % period
    distances, of_taps = np.unique(distances, return_inverse=True)
    sums = np.bincount(of_taps, weights)
    lines = np.arange(length - length // 2)[:, np.newaxis]
    matrix = np.zeros((len(lines), length + 1))
    np.add.at(matrix, (lines, inside(lines + distances, length, mode)), sums)  # `BEYOND` is the last
    return matrix


def _fewer(matrix: Doubles, ones: Doubles, odd: int) -> tuple[Floats, ...]:
    """The matrix as one of few rows and one of few columns, if it is such a product within the tolerance; or as it is.

    Args:
        matrix: Square.
        ones: What comes to it of a line of ones, of which the product makes what the matrix does. So what is left out
            is a part of the range of values, wherever that lies.
        odd: 1 for differences, 0 for sums.
    """
    size = len(matrix)
    if size < _WORTH_IT:
        return (matrix.astype(np.float32),)
    most = size // 3
    # what a wide kernel leaves is nearly made of the slowest cosines over the line that are odd or even
    cosines = np.cos(np.pi * np.outer(np.arange(size) + 0.5, 2 * np.arange(most) + odd) / (2 * size))
    basis = np.linalg.qr(matrix @ cosines)[0]
    rows = basis.T @ matrix
    order = np.linalg.eigh(rows @ rows.T)[1][:, ::-1]  # the most important first
    columns, rows = basis @ order, order.T @ rows
    left, mean = matrix.copy(), ones / max(1.0, float(ones @ ones))
    for first in range(0, most, _FEWER_BY):
        some = slice(first, first + _FEWER_BY)
        left -= columns[:, some] @ rows[some]
        of_ones = left @ ones
        # sums and differences of two values reach as far as their range, and two halves make a sum
        if 2 * np.abs(left - np.outer(of_ones, mean)).sum(axis=1).max() < TOLERANCE:
            columns, rows = columns[:, : some.stop], rows[: some.stop]
            if ones.any():
                columns, rows = np.column_stack([columns, of_ones]), np.vstack([rows, mean])
            return np.ascontiguousarray(rows, np.float32), np.ascontiguousarray(columns, np.float32)
    return (matrix.astype(np.float32),)


def mix_volume(
    values: Floats, mixings: Sequence[LineMixing | None], threads: int, report: Callable[[float], None]
) -> None:
    """Replace a volume by its sums along some axes.

    Args:
        values: `(k, j, i)`, C-contiguous; all are finite.
        mixings: For each axis; None leaves it.
        threads: How many to use.
        report: Called by this thread with the fraction done; what it raises ends the work.
    """
    of_planes, of_rows, of_columns = mixings
    ways = [(np.moveaxis(values, 1, 0), of_planes, None), (values, of_rows, of_columns)]
    ways = [way for way in ways if way[1:] != (None, None)]
    with ThreadPoolExecutor(threads, thread_name_prefix="dlp-lab-sums") as pool:
        try:
            for way, (planes, *along) in enumerate(ways):
                some = max(1, _BYTES_AT_ONCE * len(planes) // planes.nbytes)
                parts = [planes[start : start + some] for start in range(0, len(planes), some)]
                for number, future in enumerate(as_completed([pool.submit(_mix, part, *along) for part in parts])):
                    future.result()
                    report((way + (number + 1) / len(parts)) / len(ways))
        finally:
            pool.shutdown(cancel_futures=True)


def _mix(planes: Floats, of_rows: LineMixing | None, of_columns: LineMixing | None) -> None:
    """Replace some `(rows, columns)` by their sums along columns (`of_rows`: lines that cross rows), rows, or both."""
    halves: Sequence[Floats] = (planes,) if of_rows is None else _halves(planes)
    chains: Sequence[tuple[Floats, ...]] = ((),) if of_rows is None else (of_rows.even, of_rows.odd)
    mixed = [_mixed_half(half, chain, of_columns) for half, chain in zip(halves, chains, strict=True)]
    if of_rows is None:
        planes[...] = mixed[0]
    else:
        _join(planes, *mixed)
        if of_rows.constant.any():
            # what lies beyond the first and last row is mixed along rows with all else
            planes += of_rows.constant[:, np.newaxis] * (1 if of_columns is None else of_columns.kept)
    if of_columns is not None and of_columns.constant.any():
        planes += of_columns.constant


def _mixed_half(half: Floats, chain: Sequence[Floats], of_columns: LineMixing | None) -> Floats:
    if of_columns is None:
        return _multiplied(half, chain, ())
    even, odd = (_turned(quarter) for quarter in _halves(_turned(half)))
    mixed = np.empty(half.shape, np.float32)
    even, odd = _multiplied(even, chain, of_columns.even), _multiplied(odd, chain, of_columns.odd)
    _join(_turned(mixed), _turned(even), _turned(odd))
    return mixed


def _turned(planes: Floats) -> Floats:
    return np.swapaxes(planes, -1, -2)


def _halves(lines: Floats) -> tuple[Floats, Floats]:
    """Sums and differences of rows and their mirror images, without those that are the same."""
    half = lines.shape[-2] // 2
    upper = lines.shape[-2] - half
    first, mirrored = lines[..., :half, :], lines[..., : upper - 1 : -1, :]
    return np.concatenate([first + mirrored, lines[..., half:upper, :]], axis=-2), first - mirrored


def _join(lines: Floats, even: Floats, odd: Floats) -> None:
    """Write rows of which there are the same and the opposite parts of both halves."""
    half, upper = odd.shape[-2], even.shape[-2]
    np.add(even[..., :half, :], odd, out=lines[..., :half, :])
    lines[..., half:upper, :] = even[..., half:, :]
    np.subtract(even[..., :half, :], odd, out=lines[..., : upper - 1 : -1, :])


def _multiplied(values: Floats, of_rows: Sequence[Floats], of_columns: Sequence[Floats]) -> Floats:
    """Values multiplied along both axes by matrices, those first that leave the least."""
    left, right = list(of_rows), [matrix.T for matrix in of_columns]
    while left and right:
        left_over = len(left[0]) * values.shape[-1], values.shape[-2] * right[0].shape[-1]
        values = left.pop(0) @ values if left_over[0] <= left_over[1] else values @ right.pop(0)
    for matrix in left:
        values = matrix @ values
    for matrix in right:
        values = values @ matrix
    return values
