"""What is told of planes of whole numbers: least and greatest value, and sums along their axes.

All of it at one look, in machine code, where there is any; by numpy otherwise, to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.compiled import CompiledPasses, passes_made_before
from dlp_lab.processors import in_parts

_MOST_LINES = 2**16 - 1
"""So many values of 16 bits have a sum of 32, which machine code makes. DICOM has no more rows or columns."""
_PLANES_OF_A_CALL = 4
"""Of numpy: fewer keep threads waiting for each other, more leave the cache."""
_SUMMED_AT_ONCE = 128
"""So many whole numbers of 17 bits have a sum that float32 holds, in whatever order they are added."""
_LINES_OF_A_PRODUCT = 64
"""Larger ones BLAS would cut up for threads of its own, which cost more than the sums."""


@dataclass(frozen=True)
class LineSums:
    """Sums of the lines of some planes.

    Attributes:
        of_rows, of_columns: `(n, rows)` and `(n, columns)` arrays.
    """

    of_rows: NDArray[np.float64]
    of_columns: NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """What is told of some planes of int16.

    Attributes:
        low, high: `(n,)` least and greatest values.
        sums: Of their lines, exact.
    """

    low: NDArray[np.int16]
    high: NDArray[np.int16]
    sums: LineSums


def measured(planes: NDArray[np.int16]) -> Measures:
    """Measure `(n, rows, columns)` planes of any strides, on several threads."""
    code = passes_made_before()
    if code is None or planes.strides[2] != planes.itemsize or max(planes.shape[1:]) > _MOST_LINES:
        return _measured_by_numpy(planes)
    return _measured_by(code, planes)


def _measured_by(code: CompiledPasses, planes: NDArray[np.int16]) -> Measures:
    low, high = (np.empty(len(planes), np.int16) for _ in range(2))
    of_rows, of_columns = np.empty(planes.shape[:2], np.int32), np.empty((len(planes), planes.shape[2]), np.int32)

    def measure(first: int, end: int) -> None:
        part = slice(first, end)
        code.measure(planes[part], low[part], high[part], of_rows[part], of_columns[part])

    in_parts(measure, len(planes))
    return Measures(low, high, LineSums(of_rows.astype(np.float64), of_columns.astype(np.float64)))


def _measured_by_numpy(planes: NDArray[np.int16]) -> Measures:
    low, high = (np.empty(len(planes), np.int16) for _ in range(2))
    sums = LineSums(np.empty(planes.shape[:2]), np.empty((len(planes), planes.shape[2])))

    def measure(first: int, end: int) -> None:
        for start in range(first, end, _PLANES_OF_A_CALL):
            part = slice(start, min(start + _PLANES_OF_A_CALL, end))
            planes[part].min(axis=(1, 2), out=low[part])
            planes[part].max(axis=(1, 2), out=high[part])
            found = line_sums(planes[part])
            sums.of_rows[part], sums.of_columns[part] = found.of_rows, found.of_columns

    in_parts(measure, len(planes))
    return Measures(low, high, sums)


def line_sums(planes: NDArray[Any]) -> LineSums:
    """Sums of a few `(n, rows, columns)` planes of whole numbers of any type; exact where they have 17 bits.

    Products with ones in float32 take a quarter of the time of sums in float64, for no more than so many terms.
    """
    count, rows, columns = planes.shape
    shape = count, _whole_sums(rows), _whole_sums(columns)
    values = np.empty(shape, np.float32) if shape == planes.shape else np.zeros(shape, np.float32)
    values[:, :rows, :columns] = planes
    ones, few = np.ones(_SUMMED_AT_ONCE, np.float32), _SUMMED_AT_ONCE // 8
    of_rows = (values.reshape(-1, _LINES_OF_A_PRODUCT, _SUMMED_AT_ONCE) @ ones).reshape(*shape[:2], -1)
    of_columns = (ones[:few] @ values.reshape(-1, few, shape[2])).reshape(count, -1, shape[2])
    return LineSums(
        of_rows.sum(axis=2, dtype=np.float64)[:, :rows], of_columns.sum(axis=1, dtype=np.float64)[:, :columns]
    )


def _whole_sums(length: int) -> int:
    return -(-length // _SUMMED_AT_ONCE) * _SUMMED_AT_ONCE
