"""The machine code that measures whole numbers at one look, written with `machine_code.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llvmlite import ir

from dlp_lab.kernels.machine_code import BYTE, COUNT, Code, vector_of

VOXEL: Final = ir.IntType(16)
SUM: Final = ir.IntType(32)
_LEAST: Final = -(2**15)
_GREATEST: Final = 2**15 - 1


class Measuring(Code):
    """Least and greatest value of planes of int16, and the sums of their rows and of their columns.

    Arguments of the function:
        source: Where the first plane begins.
        low, high: Get an int16 for each plane.
        of_rows, of_columns: Get an int32 for each row and each column of each plane.
        planes, rows, columns: How many.
        source_plane, source_row: From one plane and one row to the next, in bytes.

    Args:
        module: Gets the function.
        name: Of the function.
        lanes: Of a vector of sums.
    """

    def __init__(self, module: Any, name: str, lanes: int) -> None:
        voxels, sums = ir.PointerType(VOXEL), ir.PointerType(SUM)
        super().__init__(module, name, [ir.PointerType(BYTE), voxels, voxels, sums, sums, *[COUNT] * 5])
        source, low, high, of_rows, of_columns, planes, rows, columns, source_plane, source_row = self.arguments
        self._columns, self._lanes = columns, lanes
        self._whole = self.builder.mul(self.builder.sdiv(columns, self.number(2 * lanes)), self.number(2 * lanes))
        ends = [self.repeated(VOXEL(end), wide) for wide in (2 * lanes, 1) for end in (_GREATEST, _LEAST)]

        def measure_plane(p: Any) -> None:
            plane, sums_of_columns = self.at(source, (p, source_plane)), self.at(of_columns, (p, columns))
            self.each(0, columns, 1, lambda x: self.store(SUM(0), self.at(sums_of_columns, (x, 1))))

            def measure_row(r: Any, found: Sequence[Any]) -> list[Any]:
                row = self.cast(self.at(plane, (r, source_row)), VOXEL)
                total, *ends_so_far = self._measured_row(row, sums_of_columns, found)
                self.store(total, self.at(of_rows, (p, rows), (r, 1)))
                return ends_so_far

            lows, highs, low_of_rest, high_of_rest = self.loop(0, rows, 1, measure_row, ends)
            least, greatest = (self.reduced(of, found) for of, found in (("smin", lows), ("smax", highs)))
            self.store(self.of("smin", least, low_of_rest), self.at(low, (p, 1)))
            self.store(self.of("smax", greatest, high_of_rest), self.at(high, (p, 1)))

        self.each(0, planes, 1, measure_plane)
        self.builder.ret_void()

    def _measured_row(self, row: Any, sums_of_columns: Any, found: Sequence[Any]) -> list[Any]:
        """The sum of a row, and the ends of the values so far: of whole vectors, and of the columns that are left."""
        *ends_of_vectors, low, high = found
        nothing = self.repeated(SUM(0), self._lanes)

        def measure(x: Any, values: Sequence[Any], lanes: int, parts: int) -> list[Any]:
            totals, ends = values[:parts], values[parts:]
            voxels = self.load(self.at(row, (x, 1)), lanes * parts)
            ends = [self.of(name, end, voxels) for name, end in zip(("smin", "smax"), ends, strict=True)]
            wider = []
            for part, total in enumerate(totals):
                few = self.load(self.at(row, (x, 1), (part, lanes)), lanes)
                few = self.builder.sext(few, vector_of(SUM, lanes))
                place = self.at(sums_of_columns, (x, 1), (part, lanes))
                self.store(self.builder.add(self.load(place, lanes), few), place, lanes)
                wider.append(self.builder.add(total, few))
            return [*wider, *ends]

        first, second, *ends_of_vectors = self.loop(
            0,
            self._whole,
            2 * self._lanes,
            lambda x, values: measure(x, values, self._lanes, 2),
            [nothing, nothing, *ends_of_vectors],
        )
        total = self.reduced("add", self.builder.add(first, second))
        total, low, high = self.loop(
            self._whole, self._columns, 1, lambda x, values: measure(x, values, 1, 1), [total, low, high]
        )
        return [total, *ends_of_vectors, low, high]
