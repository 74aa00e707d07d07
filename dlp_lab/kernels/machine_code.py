"""The few words of LLVM's language that the kernels are written in: places, vectors and loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

COUNT = ir.IntType(64)
FLOAT = ir.FloatType()
BYTE = ir.IntType(8)


def vector_of(element: Any, lanes: int) -> Any:
    return ir.VectorType(element, lanes) if lanes > 1 else element


class Code:
    """A function that is being written; it returns nothing.

    Attributes:
        function: To be called by other functions of the module.
        arguments: Of the function.
        builder: Writes its next instruction.
    """

    def __init__(self, module: Any, name: str, parameters: Sequence[Any]) -> None:
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), parameters), name)
        self.arguments = self.function.args
        self.builder = ir.IRBuilder(self.function.append_basic_block())

    def number(self, value: Any) -> Any:
        """A whole number, or what is one already."""
        return COUNT(value) if isinstance(value, int) else value

    def sum(self, *values: Any) -> Any:
        total = self.number(values[0])
        for value in values[1:]:
            total = self.builder.add(total, self.number(value))
        return total

    def difference(self, value: Any, other: Any) -> Any:
        return self.builder.sub(self.number(value), self.number(other))

    def at(self, place: Any, *steps: tuple[Any, Any]) -> Any:
        """The place that many distances farther: each of `steps` is a number and a distance."""
        for number, distance in steps:
            place = self.builder.gep(place, [self.builder.mul(self.number(number), self.number(distance))])
        return place

    def cast(self, place: Any, element: Any) -> Any:
        """The place, as one of other elements."""
        return self.builder.bitcast(place, ir.PointerType(element))

    def load(self, place: Any, lanes: int = 1) -> Any:
        """The value at a place, or the vector of values from there on."""
        element = place.type.pointee
        return self.builder.load(self._as_vector(place, lanes), align=_bytes_of(element))

    def store(self, value: Any, place: Any, lanes: int = 1) -> None:
        self.builder.store(value, self._as_vector(place, lanes), align=_bytes_of(place.type.pointee))

    def _as_vector(self, place: Any, lanes: int) -> Any:
        return self.builder.bitcast(place, ir.PointerType(vector_of(place.type.pointee, lanes)))

    def repeated(self, value: Any, lanes: int) -> Any:
        """A vector of equal values."""
        if lanes == 1:
            return value
        undefined, lane = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), ir.IntType(32)
        first = self.builder.insert_element(undefined, value, lane(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(lane, lanes), [0] * lanes))

    def moved(self, vector: Any, following: Any, lanes: int) -> Any:
        """A vector without its first value, and the first of the following one at its end."""
        order = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(1, lanes + 1)))
        return self.builder.shuffle_vector(vector, following, order)

    def of(self, intrinsic: str, *values: Any) -> Any:
        """What an intrinsic of LLVM's, such as "smin", gives for values of one type."""
        return self._intrinsic(intrinsic, values[0].type, values)

    def reduced(self, operation: str, vector: Any) -> Any:
        """The values of a vector, made one by "add", "smin" or "smax"."""
        return self._intrinsic(f"vector.reduce.{operation}", vector.type.element, (vector,))

    def _intrinsic(self, name: str, made: Any, values: Sequence[Any]) -> Any:
        module, kind = self.function.module, values[0].type
        full_name = f"llvm.{name}.{_name_of(kind)}"
        function = module.globals.get(full_name) or ir.Function(
            module, ir.FunctionType(made, [kind] * len(values)), full_name
        )
        return self.builder.call(function, values)

    def each(self, start: Any, stop: Any, step: Any, body: Callable[[Any], None]) -> None:
        """`for n in range(start, stop, step): body(n)`."""

        def without_values(n: Any, _: Sequence[Any]) -> list[Any]:
            body(n)
            return []

        self.loop(start, stop, step, without_values, [])

    def loop(
        self,
        start: Any,
        stop: Any,
        step: Any,
        body: Callable[[Any, Sequence[Any]], list[Any]],
        values: Sequence[Any],
    ) -> list[Any]:
        """`for n in range(start, stop, step): values = body(n, values)`, and what the values are afterwards."""
        builder = self.builder
        before, head, inside, after = builder.block, *(builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        first = [self.number(start), *values]
        carried = [builder.phi(value.type) for value in first]
        for phi, value in zip(carried, first, strict=True):
            phi.add_incoming(value, before)
        n, *current = carried
        builder.cbranch(builder.icmp_signed("<", n, self.number(stop)), inside, after)
        builder.position_at_end(inside)
        following = [builder.add(n, self.number(step)), *body(n, current)]
        for phi, value in zip(carried, following, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return current


def _name_of(kind: Any) -> str:
    """Of a type, as the names of intrinsics have it."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_name_of(kind.element)}"
    return f"f{8 * _bytes_of(kind)}" if kind in (FLOAT, ir.DoubleType()) else str(kind)


def _bytes_of(element: Any) -> int:
    return {FLOAT: 4, ir.DoubleType(): 8}.get(element) or int(element.width) // 8
