"""The machine code of weighted sums, written with `machine_code.py`.

Weights are the same from either end, so two values of equal distance are added before they are multiplied. Lines are
numbered from 0 to `taps - 1`; the outermost two are summed first, the middle one last. A sum's bits depend on its
values alone, not on which of the loops makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Final

from llvmlite import ir

from dlp_lab.kernels.machine_code import BYTE, COUNT, FLOAT, Code, vector_of

HIGH: Final = 4
"""So many neighbouring sums are made at once where taps lie in different lines."""

_FUSED: Final = ("contract",)  # a multiplication and an addition may become one instruction


class Sums(Code):
    """Weighted sums for rows of several planes.

    Arguments of the function; all distances are in elements:
        into, lines, weights: Where the arrays begin.
        taps, planes, rows, columns: How many; a row is `high` lines here.
        into_plane, into_row, into_line: From one plane, row and line of sums to the next.
        plane, row, tap: From one plane, row and tap of what is summed to the next.

    Args:
        module: Gets the function.
        name: Of the function.
        stretches: Lanes and vectors of what is summed at once, from the widest on, which ends with `(1, 1)`.
        high: How many lines of sums.
        into: What the sums become: floats, or whole numbers, rounded half to even.
    """

    parameters: ClassVar = [*[ir.PointerType(BYTE)] * 3, *[COUNT] * 10]

    def __init__(
        self, module: Any, name: str, stretches: Sequence[tuple[int, int]], high: int = 1, into: Any = FLOAT
    ) -> None:
        super().__init__(module, name, self.parameters)
        sums, lines, weights, taps, planes, rows, columns, *distances = self.arguments
        sums_plane, sums_row, self._sums_line, plane, row, self._tap, *self._more = distances
        sums, lines, self._weights = (self.cast(p, of) for p, of in ((sums, into), (lines, FLOAT), (weights, FLOAT)))
        self._high = high
        self._last = self.difference(taps, 1)
        self._middle = self.builder.sdiv(self._last, self.number(2))

        def each_row(p: Any, r: Any) -> None:
            done: Any = 0
            self._row = r
            for lanes, vectors in stretches:
                step = lanes * vectors
                end = self.builder.mul(self.builder.sdiv(columns, self.number(step)), self.number(step))

                def stretch(x: Any, lanes: int = lanes, vectors: int = vectors) -> None:
                    target = self.at(sums, (p, sums_plane), (r, sums_row), (x, 1))
                    self._stretch(target, self.at(lines, (p, plane), (r, row), (x, 1)), lanes, vectors)

                self.each(done, end, step, stretch)
                done = end

        self.each(0, planes, 1, lambda p: self.each(0, rows, 1, lambda r: each_row(p, r)))
        self.builder.ret_void()

    def _stretch(self, into: Any, lines: Any, lanes: int, vectors: int) -> None:
        """Sums of a stretch of columns: they, and the values of which the next ones come, are in registers."""
        zero = ir.Constant(vector_of(FLOAT, lanes), [0.0] * lanes if lanes > 1 else 0.0)
        count = self._high * vectors
        first = [zero] * count, *self._first_values(lines, lanes, vectors)

        def added(n: Any, values: Sequence[Any]) -> list[Any]:
            totals, low, high = values[:count], values[count : 2 * count], values[2 * count :]
            high = high or self._line(lines, self.difference(self._last, n), lanes, vectors)
            weight = self.repeated(self.load(self.at(self._weights, (n, 1))), lanes)
            both = [self.builder.fadd(a, b) for a, b in zip(low, high, strict=True)]
            totals = [self._with_product(total, weight, value) for total, value in zip(totals, both, strict=True)]
            return [*totals, *self._next_values(lines, n, low, high, lanes, vectors)]

        values = self.loop(0, self._middle, 1, added, [value for group in first for value in group])
        # the lower of two values has come to the middle
        totals, middle = values[:count], values[count : 2 * count]
        weight = self.repeated(self.load(self.at(self._weights, (self._middle, 1))), lanes)
        for number, (total, value) in enumerate(zip(totals, middle, strict=True)):
            line, v = divmod(number, vectors)
            place = self.at(into, (line, self._sums_line), (v, lanes))
            self.store(self._as_stored(self._with_product(total, weight, value), place, lanes), place, lanes)

    def _first_values(self, lines: Any, lanes: int, vectors: int) -> tuple[list[Any], list[Any]]:
        """The lower and the upper values of the outermost taps."""
        numbers = range(self._high)
        low = [value for s in numbers for value in self._line(lines, s, lanes, vectors)]
        high = [value for s in numbers for value in self._line(lines, self.sum(self._last, s), lanes, vectors)]
        return low, high

    def _next_values(self, lines: Any, n: Any, low: Any, high: Any, lanes: int, vectors: int) -> list[Any]:
        """Those of taps `n + 1`: what is lower moves up a line, what is upper down, and a line comes to each."""
        new_low = self._line(lines, self.sum(n, self._high), lanes, vectors)
        new_high = self._line(lines, self.difference(self._last, self.sum(n, 1)), lanes, vectors)
        return [*low[vectors:], *new_low, *new_high, *high[:-vectors]]

    def _line(self, lines: Any, n: Any, lanes: int, vectors: int) -> list[Any]:
        place = self.at(lines, (n, self._tap))
        return [self.load(self.at(place, (v, lanes)), lanes) for v in range(vectors)]

    def _with_product(self, total: Any, weight: Any, value: Any) -> Any:
        return self.builder.fadd(total, self.builder.fmul(weight, value, flags=_FUSED), flags=_FUSED)

    def _as_stored(self, value: Any, place: Any, lanes: int) -> Any:
        element = place.type.pointee
        if element == FLOAT:
            return value
        wide = ir.IntType(32)
        whole = self.builder.fptosi(self.of("rint", value), vector_of(wide, lanes))
        # a sum lies between its values, but for the rounding of float32, which may not carry it out of int16
        for name, end in (("smin", 2 ** (element.width - 1) - 1), ("smax", -(2 ** (element.width - 1)))):
            whole = self.of(name, whole, self.repeated(wide(end), lanes))
        return self.builder.trunc(whole, vector_of(element, lanes))


class SumsAcrossPlanes(Sums):
    """Weighted sums of lines that lie in no order.

    One more argument, `places`: of the line of each tap, as a number of `tap`s; those of a row's first sum begin `high`
    numbers after those of the row before.
    """

    parameters: ClassVar = [*Sums.parameters, ir.PointerType(COUNT)]

    def _line(self, lines: Any, n: Any, lanes: int, vectors: int) -> list[Any]:
        place = self.at(self._more[0], (self._row, self._high), (n, 1))
        return super()._line(lines, self.load(place), lanes, vectors)


class SumsAlongColumns(Sums):
    """Weighted sums of neighbours within a line.

    Loads of neighbours cross cache lines, and take most of the time. So the lower values are loaded once, and then
    moved from lane to lane, which is done meanwhile.
    """

    def _first_values(self, lines: Any, lanes: int, vectors: int) -> tuple[list[Any], list[Any]]:
        return self._line(lines, 0, lanes, vectors), []

    def _next_values(self, lines: Any, n: Any, low: Any, high: Any, lanes: int, vectors: int) -> list[Any]:
        last = self.load(self.at(lines, (self.sum(n, 1), self._tap), (vectors - 1, lanes)), lanes)
        return [*(self.moved(a, b, lanes) for a, b in pairwise(low)), last]
