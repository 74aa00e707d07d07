"""The machine code of a strip, written with `machine_code.py`: one call for many planes of the result."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir

from dlp_lab.kernels.edges import BEYOND
from dlp_lab.kernels.machine_code import BYTE, COUNT, FLOAT, Code, vector_of
from dlp_lab.kernels.weighted_sums import HIGH, Sums, SumsAcrossPlanes

SOURCES: Final = {
    "uint8": (BYTE, "uitofp"),
    "int16": (ir.IntType(16), "sitofp"),
    "uint16": (ir.IntType(16), "uitofp"),
    "int32": (ir.IntType(32), "sitofp"),
    "float32": (FLOAT, None),
    "float64": (ir.DoubleType(), "fptrunc"),
}
"""Kinds of voxels that are read as they are, by numpy's name; how they become float32."""

_READ_ROW: Final = (ir.PointerType(FLOAT), ir.PointerType(BYTE), COUNT)

COUNTS: Final = (
    *("first_step", "last_step", "planes", "planes_at_once", "places_count", "columns", "width", "height"),
    *("whole_height", "beyond_count", "taps_k", "taps_j", "taps_i"),
    *("source_plane", "source_row", "result_plane", "result_row", "result_bytes", "slot", "line"),
)
POINTERS: Final = (
    *("read_row", "sum_high", "sum_single", "source", "result", "places", "tile", "summed", "beyond", "within"),
    *("window", "weights_k", "weights_j", "weights_i", "slots_of_taps", "fill_planes", "fill_slots", "fill_ends"),
)
RECORD: Final = (*COUNTS, *POINTERS)
"""What the function of `StripSums` is told, each a number of 64 bits:

* first_step, last_step: Of the plan's; `last_step` is the first that is not made.
* planes, planes_at_once, columns: Of the volume and the plan.
* height, whole_height: Rows of the strip, alone and in whole blocks; width: columns, in whole blocks.
* taps_k, weights_k, ...: Weights of each axis.
* slots_of_taps, fill_planes, fill_slots, fill_ends: The plan's schedule, with places of slots as multiples of `slot`.
* places, places_count: Rows of the volume for those of the strip and its neighbours; those of the tile for which
  there is `BEYOND` stay as they are.
* beyond, within, beyond_count: Columns that are copied to those beyond the edge.
* source, source_plane, source_row: The volume, and distances in bytes.
* result, result_plane, result_row, result_bytes: The strip's part of it, distances in elements, and their size.
* tile, summed, window: Memory for a plane's rows as floats, for `HIGH` sums along them, with room for columns beyond
  the edges, and for planes; all have lines of `line` floats, and planes of the window lie `slot` floats apart.
* read_row, sum_high, sum_single: Functions: the `ReadRow` of the volume's kind, `SumsAcrossPlanes` of the result's.
"""


class ReadRow(Code):
    """A row of voxels as float32. Arguments of the function: into, from, and how many columns."""

    def __init__(self, module: Any, kind: str, lanes: int) -> None:
        super().__init__(module, f"read_{kind}", _READ_ROW)
        into, source, columns = self.arguments
        element, conversion = SOURCES[kind]
        voxels = self.cast(source, element)

        def read(x: Any, lanes: int) -> None:
            values = self.load(self.at(voxels, (x, 1)), lanes)
            if conversion:
                values = getattr(self.builder, conversion)(values, vector_of(FLOAT, lanes))
            self.store(values, self.at(into, (x, 1)), lanes)

        whole = self.builder.mul(self.builder.sdiv(columns, self.number(lanes)), self.number(lanes))
        self.each(0, whole, lanes, lambda x: read(x, lanes))
        self.each(whole, columns, 1, lambda x: read(x, 1))
        self.builder.ret_void()


class StripSums(Code):
    """Steps of a strip. The function has one argument: where the numbers of `RECORD` are."""

    def __init__(self, module: Any, name: str, along_rows: Sums, along_columns: Sums) -> None:
        super().__init__(module, name, [ir.PointerType(COUNT)])
        (record,) = self.arguments
        self._numbers = {each: self.load(self.at(record, (n, 1))) for n, each in enumerate(RECORD)}
        self._along_rows, self._along_columns = along_rows.function, along_columns.function
        self.each(self._numbers["first_step"], self._numbers["last_step"], 1, self._step)
        self.builder.ret_void()

    def _pointer(self, name: str, element: Any) -> Any:
        return self.builder.inttoptr(self._numbers[name], ir.PointerType(element))

    def _listed(self, name: str, n: Any) -> Any:
        """The n-th number of a list."""
        return self.load(self.at(self._pointer(name, COUNT), (n, 1)))

    def _step(self, step: Any) -> None:
        """Fill the window, and sum what it holds."""
        numbers, builder = self._numbers, self.builder
        end = self._listed("fill_ends", self.sum(step, 1))
        self.each(self._listed("fill_ends", step), end, 1, self._fill)
        k = builder.mul(step, numbers["planes_at_once"])
        left = self.difference(numbers["planes"], k)
        at_once = numbers["planes_at_once"]
        count = builder.select(builder.icmp_signed("<", left, at_once), left, at_once)
        rest = builder.srem(count, self.number(HIGH))
        whole = self.difference(count, rest)
        self._sum_planes("sum_high", k, builder.sdiv(whole, self.number(HIGH)), HIGH)
        self._sum_planes("sum_single", self.sum(k, whole), rest, 1)

    def _sum_planes(self, function: str, k: Any, count: Any, high: int) -> None:
        """Sum `count` times `high` planes from the window into the result, from plane `k` on."""
        numbers = self._numbers
        address = self._pointer("result", BYTE)
        into = self.at(address, (self.builder.mul(k, numbers["result_plane"]), numbers["result_bytes"]))
        between = [
            *(numbers["result_row"], self.builder.mul(numbers["result_plane"], self.number(high))),
            *(numbers["result_plane"], numbers["line"], self.number(0), numbers["slot"]),
        ]
        counts = [numbers["taps_k"], numbers["height"], count, numbers["columns"]]
        slots = self.at(self._pointer("slots_of_taps", COUNT), (k, 1))
        kind = ir.FunctionType(ir.VoidType(), SumsAcrossPlanes.parameters)
        window, weights = self._pointer("window", BYTE), self._pointer("weights_k", BYTE)
        self.builder.call(self._pointer(function, kind), [into, window, weights, *counts, *between, slots])

    def _fill(self, n: Any) -> None:
        """Sum a plane of the volume along rows and columns into its slot of the window."""
        numbers, nothing, one = self._numbers, self.number(0), self.number(1)
        tile, summed, line = self._pointer("tile", FLOAT), self._pointer("summed", FLOAT), numbers["line"]
        plane = self.at(self._pointer("source", BYTE), (self._listed("fill_planes", n), numbers["source_plane"]))
        reader = self._pointer("read_row", ir.FunctionType(ir.VoidType(), _READ_ROW))

        def read(r: Any) -> None:
            place = self._listed("places", r)
            with self.builder.if_then(self.builder.icmp_signed("!=", place, self.number(BEYOND))):
                row = self.at(plane, (place, numbers["source_row"]))
                self.builder.call(reader, [self.at(tile, (r, line)), row, numbers["columns"]])

        self.each(0, numbers["places_count"], 1, read)
        slot = self.at(self._pointer("window", FLOAT), (self._listed("fill_slots", n), numbers["slot"]))
        middle = self.at(summed, (self.builder.sdiv(numbers["taps_i"], self.number(2)), 1))
        high_line = self.builder.mul(line, self.number(HIGH))

        def sum_few_rows(group: Any) -> None:
            self._call_sums(
                self._along_rows,
                (middle, self.at(tile, (group, high_line)), self._pointer("weights_j", FLOAT)),
                [numbers["taps_j"], one, one, numbers["width"]],
                [nothing, nothing, line] * 2,
            )
            self.each(0, HIGH, 1, lambda r: self._extend(self.at(summed, (r, line))))
            self._call_sums(
                self._along_columns,
                (self.at(slot, (group, high_line)), summed, self._pointer("weights_i", FLOAT)),
                [numbers["taps_i"], one, self.number(HIGH), numbers["width"]],
                [nothing, line, nothing, nothing, line, one],
            )

        self.each(0, self.builder.sdiv(numbers["whole_height"], self.number(HIGH)), 1, sum_few_rows)

    def _call_sums(self, function: Any, places: tuple[Any, ...], counts: list[Any], distances: list[Any]) -> None:
        self.builder.call(function, [*(self.cast(place, BYTE) for place in places), *counts, *distances])

    def _extend(self, row: Any) -> None:
        """Continue a row beyond the edges."""

        def copy(n: Any) -> None:
            to, of = (self.at(row, (self._listed(table, n), 1)) for table in ("beyond", "within"))
            self.store(self.load(of), to)

        self.each(0, self._numbers["beyond_count"], 1, copy)
