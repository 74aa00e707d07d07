"""Weighted sums in machine code, made by llvmlite (`pip install dlp-lab[fast]`) in a tenth of a second.

One loop does the work of all three passes:

    for each row:
        for each stretch of columns that fits into the processor's registers:
            for each tap:
                sums += weight * values

What makes it fast is said here once, for it cannot be seen in the code:

* A stretch is two vectors wide and four sums high. The four sums are of neighbouring lines, so each value that is
  loaded counts for four of them; the eight registers of sums let two multiply-adds begin in each clock cycle. Along
  columns, where neighbours are in one line, it is one sum high and eight vectors wide.
* The number of taps is an argument. Nothing is compiled again for another sigma, and nothing is kept on disk.
* A sum's taps are added in one order whatever the stretch, so that its bits do not depend on where it lies.

The code is made for the processor that runs it, and lives in memory alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from numpy.typing import NDArray

from dlp_lab.kernels.passes import Floats

FORBIDDEN_VARIABLE = "DLP_LAB_NO_COMPILED_KERNELS"
"""Set to anything, it leaves machine code to the libraries that came with it."""

_LANES = 8
_HIGH, _WIDE = 4, 8
_FUSED: Final = ("contract",)  # a multiplication and an addition may become one instruction

_SumLoop = Callable[..., None]


@cache
def compiled_passes() -> CompiledPasses | None:
    """Passes in machine code; None where llvmlite is not installed, cannot make any, or is not to."""
    if os.environ.get(FORBIDDEN_VARIABLE):
        return None
    try:
        return CompiledPasses()
    except (ImportError, OSError, RuntimeError):
        return None


class CompiledPasses:
    """`Passes` in machine code.

    Raises:
        ImportError: llvmlite is not installed.
        RuntimeError: It does not know this processor.
        OSError: The system lets no process make code (Linux).
    """

    def __init__(self) -> None:
        from llvmlite import binding, ir

        _refuse_where_code_is_forbidden()
        module = ir.Module("weighted_sums")
        _Definition(module, "high", sums=_HIGH, vectors=2)
        _Definition(module, "wide", sums=1, vectors=_WIDE)
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3, jit=True
        )
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)  # owns the code
        self._engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 10)
        self._high: _SumLoop = prototype(self._engine.get_function_address("high"))
        self._wide: _SumLoop = prototype(self._engine.get_function_address("wide"))

    def along_rows(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        self._sum(sums, lines, weights, axis=1)

    def along_columns(self, lines: Floats, weights: Floats, sums: Floats) -> None:
        self._sum(sums, lines, weights, axis=2)

    def along_planes(self, lines: Floats, weights: Floats, sums: NDArray[Any]) -> None:
        self._sum(sums.swapaxes(0, 1), lines.swapaxes(0, 1), weights, axis=1)

    def _sum(self, sums: Floats, lines: Floats, weights: Floats, axis: int) -> None:
        """Sums along the rows or columns of each plane. Python's lock is let go of meanwhile."""
        planes, rows, columns = sums.shape
        taps = len(weights)
        high = rows - rows % _HIGH if axis == 1 and taps >= _HIGH else 0
        for loop, first, count, step in ((self._high, 0, high // _HIGH, _HIGH), (self._wide, high, rows - high, 1)):
            if count:
                out, into = sums[:, first:], lines[:, first:]
                strides = [
                    *(out.strides[0] // 4, out.strides[1] // 4 * step, out.strides[1] // 4),
                    *(into.strides[0] // 4, into.strides[1] // 4 * step, into.strides[axis] // 4),
                ]
                pointers = out.ctypes.data, into.ctypes.data, weights.ctypes.data
                loop(*pointers, taps, planes, count, columns, *strides)


def _refuse_where_code_is_forbidden() -> None:
    """Ask for memory whose content may be executed: LLVM, refused some, would end the process."""
    if sys.platform == "linux":
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


class _Definition:
    """The loop for stretches that are `sums` lines high and `vectors` vectors wide, in LLVM's words.

    Arguments of the function that is defined; all distances are in floats:
        into, lines, weights: Where the arrays begin.
        taps, planes, rows, columns: How many; a row is `sums` lines here.
        into_plane, into_row, into_line: From one plane, row and line of sums to the next.
        plane, row, tap: From one plane, row and tap of what is summed to the next.
    """

    def __init__(self, module: Any, name: str, sums: int, vectors: int) -> None:
        from llvmlite import ir

        self._float, self._count = ir.FloatType(), ir.IntType(64)
        arguments = [ir.PointerType(self._float)] * 3 + [self._count] * 10
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
        into, lines, self._weights, self._taps, planes, rows, self._columns, *distances = function.args
        into_plane, into_row, self._into_line, plane, row, self._tap = distances
        self._builder = ir.IRBuilder(function.append_basic_block())
        self._sums, self._vectors = sums, vectors

        def each_row(p: Any, r: Any) -> None:
            self._row(self._at(into, (p, into_plane), (r, into_row)), self._at(lines, (p, plane), (r, row)))

        self._each(0, planes, 1, lambda p: self._each(0, rows, 1, lambda r: each_row(p, r)))
        self._builder.ret_void()

    def _row(self, into: Any, lines: Any) -> None:
        """A row: stretches as wide as fit, then columns one by one."""
        done: Any = 0
        for lanes, vectors in ((_LANES, self._vectors), (1, 1)):
            step = self._number(lanes * vectors)
            end = self._builder.mul(self._builder.sdiv(self._columns, step), step)

            def stretch(x: Any, lanes: int = lanes, vectors: int = vectors) -> None:
                self._stretch(self._at(into, (x, 1)), self._at(lines, (x, 1)), lanes, vectors)

            self._each(done, end, step, stretch)
            done = end

    def _stretch(self, into: Any, lines: Any, lanes: int, vectors: int) -> None:
        """A stretch of `vectors` vectors of `lanes` columns each; its sums are in registers all the while."""
        from llvmlite import ir

        kind, sums = ir.VectorType(self._float, lanes), self._sums

        def vector(place: Any, number: int) -> Any:
            return self._builder.bitcast(self._at(place, (number, lanes)), ir.PointerType(kind))

        def added(n: Any, totals: Sequence[Any], which: range) -> list[Any]:
            """The totals with line `n`, which is a tap of these of the sums."""
            line = self._at(lines, (n, self._tap))
            values = [self._builder.load(vector(line, v), align=4) for v in range(vectors)]
            new = list(totals)
            for s in which:
                weight = self._repeated(self._builder.load(self._at(self._weights, (n, 1), (s, -1))), lanes)
                for v, value in enumerate(values, start=s * vectors):
                    new[v] = self._builder.fadd(
                        totals[v], self._builder.fmul(weight, value, flags=_FUSED), flags=_FUSED
                    )
            return new

        totals: list[Any] = [ir.Constant(kind, [0.0] * lanes)] * (sums * vectors)
        # the first and the last lines are taps of some of the sums only, those between of all
        for n in range(sums - 1):
            totals = added(n, totals, range(n + 1))
        totals = self._loop(sums - 1, self._taps, 1, lambda n, sofar: added(n, sofar, range(sums)), totals)
        for n in range(sums - 1):
            totals = added(self._builder.add(self._taps, self._number(n)), totals, range(n + 1, sums))
        for s in range(sums):
            for v in range(vectors):
                place = vector(self._at(into, (s, self._into_line)), v)
                self._builder.store(totals[s * vectors + v], place, align=4)

    def _number(self, value: Any) -> Any:
        """A whole number, or what is one already."""
        return self._count(value) if isinstance(value, int) else value

    def _at(self, place: Any, *steps: tuple[Any, Any]) -> Any:
        """The place that many distances farther: each of `steps` is a number and a distance."""
        for number, distance in steps:
            offset = self._builder.mul(self._number(number), self._number(distance))
            place = self._builder.gep(place, [offset])
        return place

    def _repeated(self, value: Any, lanes: int) -> Any:
        """A vector of equal values."""
        from llvmlite import ir

        undefined, lane = ir.Constant(ir.VectorType(self._float, lanes), ir.Undefined), ir.IntType(32)
        first = self._builder.insert_element(undefined, value, lane(0))
        return self._builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(lane, lanes), [0] * lanes))

    def _each(self, start: Any, stop: Any, step: Any, body: Callable[[Any], None]) -> None:
        """`for n in range(start, stop, step): body(n)`."""

        def without_totals(n: Any, _: Sequence[Any]) -> list[Any]:
            body(n)
            return []

        self._loop(start, stop, step, without_totals, [])

    def _loop(
        self,
        start: Any,
        stop: Any,
        step: Any,
        body: Callable[[Any, Sequence[Any]], list[Any]],
        totals: Sequence[Any],
    ) -> list[Any]:
        """`for n in range(start, stop, step): totals = body(n, totals)`, and what the totals are afterwards."""
        builder = self._builder
        before, head, inside, after = builder.block, *(builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        first = [self._number(start), *totals]
        carried = [builder.phi(value.type) for value in first]
        for phi, value in zip(carried, first, strict=True):
            phi.add_incoming(value, before)
        n, *current = carried
        builder.cbranch(builder.icmp_signed("<", n, self._number(stop)), inside, after)
        builder.position_at_end(inside)
        following = [builder.add(n, self._number(step)), *body(n, current)]
        for phi, value in zip(carried, following, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return current
