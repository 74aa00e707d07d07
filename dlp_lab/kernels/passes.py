"""Weighted sums along three axes, in three ways that give the same.

The ways differ in what they need: `BandedPasses` the BLAS that numpy comes with, `CompiledPasses` (`compiled.py`)
llvmlite, and takes less than half the time; `PlainPasses` is scipy's, for values that are not finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats, whole_blocks
from dlp_lab.kernels.line_strip import LineStrip
from dlp_lab.kernels.strip_plan import Schedule, StripPlan

Result = TypeVar("Result", NDArray[np.float32], NDArray[np.int16])

_LARGEST_PRODUCT = 2**18
"""OpenBLAS spreads larger products over threads of its own; ours are enough."""


class Strip(Protocol):
    """Makes the sums of strips, one after the other, in memory of its own: one for each thread."""

    def windows(self, count: int) -> Floats:
        """Memory for windows, one of each element: what is in one when a slab is done is needed for the next slab."""

    def convolve(
        self, voxels: NDArray[Any], result: NDArray[Any], rows: slice, schedule: Schedule, window: Floats
    ) -> Iterator[None]:
        """Write a strip of a slab of the result; yields now and then, when whoever goes through it may stop.

        Args:
            voxels: `(k, j, i)` array of any real dtype and any strides, planes of the volume; stays as it is.
            result: C-contiguous array of planes, of float32, or of int16 for sums rounded half to even.
            rows: Of the strip; not more than its plan says.
            schedule: How the planes of the result come from those of the volume.
            window: As the strip's rows of the slab before left it.
        """


class Passes(Protocol):
    """A way to make weighted sums. `tests/kernels/test_passes.py` checks all:

    * The sums are those of `scipy.ndimage.correlate1d` within the rounding of float32.
    * Their bits do not depend on how rows are cut into strips.
    * Those of a stack that begins a multiple of `BLOCK` planes later have the same bits.
    """

    def planes_at_once(self, reach: int) -> int:
        """How many planes are best summed at a time from those within reach."""

    def strip(self, plan: StripPlan) -> Strip:
        """What makes the sums of one thread."""


def round_into(result: NDArray[np.int16], sums: Floats) -> None:
    """Write sums as whole numbers, half to even.

    A sum lies between the values it is made of, but for the rounding of float32, which may not carry it out of int16.
    """
    np.clip(np.rint(sums), -(2**15), 2**15 - 1, out=result, casting="unsafe")


class BandedPasses:
    """Sums as products with a band matrix, `BLOCK` of them at a time, by the BLAS of numpy.

    Half of the products are with zeros, yet it is some four times as fast as a loop over taps in numpy or scipy. Values
    must be finite, for nan times 0 is not 0. The number of sums along rows and columns is a multiple of `BLOCK`.

    How BLAS rounds a sum may depend on the shape of its product and on where in it the sum is: OpenBLAS for Haswell and
    Zen adds in another order at the ends of a product than within. So a voxel's sum is always at the same place of a
    product of the same shape, whatever strip or stack it is in.
    """

    def planes_at_once(self, reach: int) -> int:
        return whole_blocks(max(1, reach))  # of which the window is copied each time

    def strip(self, plan: StripPlan) -> Strip:
        return LineStrip(self, plan)

    def along_rows(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        if len(weights) == 1:
            np.multiply(lines, weights, out=sums)
            return
        band = _band(weights)
        for piece in _pieces(lines.shape[2], band.shape[1]):
            np.matmul(band, _blocks(lines, band.shape[1])[..., piece], out=_blocks(sums, BLOCK)[..., piece])

    def along_columns(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        if len(weights) == 1:
            np.multiply(lines, weights, out=sums)
            return
        band = np.ascontiguousarray(_band(weights).T)
        np.matmul(_squares(lines, len(band)), band, out=_squares(sums, BLOCK))

    def along_planes(self, lines: Floats, weights: Floats, sums: NDArray[Any]) -> None:
        if sums.dtype == np.int16:
            exact = np.empty(sums.shape, np.float32)
            self.along_planes(lines, weights, exact)
            round_into(sums, exact)
            return
        if len(weights) == 1:
            np.multiply(lines, weights, out=sums)
            return
        band = _band(weights)
        whole = len(sums) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            _multiply_planes(band, lines[start : start + band.shape[1]], sums[start : start + BLOCK])
        if whole < len(sums):
            # the rest of a last, shorter block is made up: of fewer rows, BLAS would make other bits
            rest = np.zeros((band.shape[1], *lines.shape[1:]), np.float32)
            rest[: len(lines) - whole] = lines[whole:]
            made = np.empty((BLOCK, *sums.shape[1:]), np.float32)
            _multiply_planes(band, rest, made)
            sums[whole:] = made[: len(sums) - whole]


class PlainPasses:
    """Sums by scipy, in which what is not finite reaches no farther than the taps do."""

    def planes_at_once(self, reach: int) -> int:
        return whole_blocks(max(1, reach))  # of which the window is copied each time

    def strip(self, plan: StripPlan) -> Strip:
        return LineStrip(self, plan)

    def along_rows(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        sums[...] = _correlated(lines, weights, 1)

    def along_columns(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        sums[...] = _correlated(lines, weights, 2)

    def along_planes(self, lines: Floats, weights: Floats, sums: NDArray[Any]) -> None:
        exact = _correlated(lines, weights, 0)
        if sums.dtype == np.int16:
            round_into(sums, exact)
        else:
            sums[...] = exact


def _correlated(lines: Floats, weights: Floats, axis: int) -> Floats:
    from scipy import ndimage  # 0.2 s of import that others need not pay

    reach = len(weights) // 2
    whole: Floats = ndimage.correlate1d(lines, weights, axis=axis, mode="nearest")
    return np.moveaxis(np.moveaxis(whole, axis, 0)[reach : whole.shape[axis] - reach], 0, axis)


def _band(weights: Floats) -> Floats:
    """`(BLOCK, BLOCK + taps - 1)` matrix that takes a block's neighbourhood to its sums."""
    band = np.zeros((BLOCK, BLOCK + len(weights) - 1), np.float32)
    for n in range(BLOCK):
        band[n, n : n + len(weights)] = weights
    return band


def _blocks(array: Floats, length: int) -> Floats:
    """`(planes, blocks, length, columns)` view of `length` rows from every `BLOCK`th on."""
    planes, rows, columns = array.shape
    plane, row, column = array.strides
    return as_strided(array, (planes, (rows - length) // BLOCK + 1, length, columns), (plane, BLOCK * row, row, column))


def _squares(array: Floats, length: int) -> Floats:
    """`(planes, blocks along rows, blocks along columns, BLOCK, length)` view, for `_blocks` of `BLOCK` rows each."""
    planes, rows, columns = array.shape
    size = (planes, rows // BLOCK, (columns - length) // BLOCK + 1, BLOCK, length)
    plane, row, column = array.strides
    return as_strided(array, size, (plane, BLOCK * row, BLOCK * column, row, column))


def _multiply_planes(band: Floats, lines: Floats, sums: NDArray[Any]) -> None:
    rows, results = np.moveaxis(lines, 0, 1), np.moveaxis(sums, 0, 1)
    for piece in _pieces(lines.shape[2], band.shape[1]):
        np.matmul(band, rows[..., piece], out=results[..., piece])


def _pieces(length: int, taps: int) -> list[slice]:
    """Parts of an axis for which a product stays small."""
    step = max(BLOCK, _LARGEST_PRODUCT // (BLOCK * taps) // BLOCK * BLOCK)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
