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
import os
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
    """

    def __init__(self) -> None:
        from llvmlite import binding, ir

        module = ir.Module("weighted_sums")
        _define(module, "high", sums=_HIGH, vectors=2)
        _define(module, "wide", sums=1, vectors=_WIDE)
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
        """Sums along the rows or columns of each plane."""
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


def _define(module: Any, name: str, sums: int, vectors: int) -> None:
    """Define the loop for stretches that are `sums` lines high and `vectors` vectors wide.

    Arguments of the function, all distances in floats:
        sums, lines, weights: Where the arrays begin.
        taps, planes, rows, columns: How many; a row is `sums` lines here.
        sum_plane, sum_row, sum_line: From one plane, row and line of sums to the next.
        plane, row, tap: From one plane, row and tap of what is summed to the next.
    """
    from llvmlite import ir

    pointer, count = ir.PointerType(ir.FloatType()), ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 3 + [count] * 10), name)
    into, lines, weights, taps, planes, rows, columns, sum_plane, sum_row, sum_line, plane, row, tap = function.args
    builder = ir.IRBuilder(function.append_basic_block())

    def stretch(target: Any, source: Any, lanes: int, width: int) -> None:
        """Make `sums` lines of `lanes * width` sums each."""
        kind = ir.VectorType(ir.FloatType(), lanes)

        def vector_at(place: Any, number: int) -> Any:
            return builder.bitcast(builder.gep(place, [count(number * lanes)]), ir.PointerType(kind))

        def add_line(number: Any, totals: Sequence[Any], which: range) -> list[Any]:
            """Add the line `number` to the totals of those sums that it is a tap of."""
            place = builder.gep(source, [builder.mul(number, tap)])
            values = [builder.load(vector_at(place, v), align=4) for v in range(width)]
            added = list(totals)
            for s in which:
                weight = _repeated(builder, builder.load(builder.gep(weights, [builder.sub(number, count(s))])), lanes)
                for v, value in enumerate(values, start=s * width):
                    added[v] = builder.fadd(totals[v], builder.fmul(weight, value, flags=_FUSED), flags=_FUSED)
            return added

        totals = [ir.Constant(kind, [0.0] * lanes)] * (sums * width)
        # the first and last lines are taps of some of the sums only; those between, of all
        for n in range(sums - 1):
            totals = add_line(count(n), totals, range(n + 1))
        totals = _loop(
            builder, count(sums - 1), taps, count(1), lambda n, sofar: add_line(n, sofar, range(sums)), totals
        )
        for n in range(sums - 1):
            totals = add_line(builder.add(taps, count(n)), totals, range(n + 1, sums))
        for s in range(sums):
            line = builder.gep(target, [builder.mul(sum_line, count(s))])
            for v in range(width):
                builder.store(totals[s * width + v], vector_at(line, v), align=4)

    def row_of_stretches(target: Any, source: Any) -> None:
        done: Any = count(0)
        for lanes, width in ((_LANES, vectors), (1, 1)):
            step = count(lanes * width)
            end = builder.mul(builder.sdiv(columns, step), step)

            def one(x: Any, lanes: int = lanes, width: int = width) -> None:
                stretch(builder.gep(target, [x]), builder.gep(source, [x]), lanes, width)

            _each(builder, done, end, step, one)
            done = end

    def each_row(p: Any) -> None:
        target, source = (builder.gep(a, [builder.mul(p, s)]) for a, s in ((into, sum_plane), (lines, plane)))
        _each(
            builder,
            count(0),
            rows,
            count(1),
            lambda r: row_of_stretches(
                builder.gep(target, [builder.mul(r, sum_row)]), builder.gep(source, [builder.mul(r, row)])
            ),
        )

    _each(builder, count(0), planes, count(1), each_row)
    builder.ret_void()


def _repeated(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of equal values."""
    from llvmlite import ir

    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _each(builder: Any, start: Any, stop: Any, step: Any, body: Callable[[Any], None]) -> None:
    """`for n in range(start, stop, step): body(n)`."""

    def without_totals(n: Any, _: Sequence[Any]) -> list[Any]:
        body(n)
        return []

    _loop(builder, start, stop, step, without_totals, [])


def _loop(
    builder: Any,
    start: Any,
    stop: Any,
    step: Any,
    body: Callable[[Any, Sequence[Any]], list[Any]],
    totals: Sequence[Any],
) -> list[Any]:
    """`for n in range(start, stop, step): totals = body(n, totals)`, and what the totals are afterwards."""
    before, head, inside, after = builder.block, *(builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    carried = [builder.phi(value.type) for value in (start, *totals)]
    for phi, value in zip(carried, (start, *totals), strict=True):
        phi.add_incoming(value, before)
    n, *current = carried
    builder.cbranch(builder.icmp_signed("<", n, stop), inside, after)
    builder.position_at_end(inside)
    results = body(n, current)
    for phi, value in zip(carried, (builder.add(n, step), *results), strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return current
