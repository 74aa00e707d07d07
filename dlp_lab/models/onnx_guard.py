"""What of an ONNX file is refused before ONNX Runtime sees it.

The file is a Protocol Buffers message. It is walked field by field, without a copy of the weights and without the
`onnx` package: only the few fields are looked at that name other files, other operators, or more memory than the file
has bytes. The numbers of the fields are those of onnx.proto (IR version 10).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dlp_lab.errors import ModelRefused

OWN_DOMAINS = frozenset(("", "ai.onnx", "ai.onnx.ml"))
"""Of operators that ONNX itself defines; any other needs code from elsewhere."""

MAX_DEPTH = 16
MAX_MADE_BYTES = 2 * 2**30
"""No operator may make more than this of a constant shape alone."""

_BYTES_OF_TYPE = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
_SMALLEST_BYTES = 0.5  # the float8 and 4-bit types
_MAKERS = frozenset(("ConstantOfShape", "Expand", "Tile"))

_Value = int | memoryview


@dataclass(frozen=True)
class _Tensor:
    name: str
    made_elements: int
    """How many an operator makes whose shape this tensor is: the product of its numbers, 0 where it is no shape."""


def refuse_unsafe_network(content: bytes, name: str) -> None:
    """Refuse a network that could read other files, run other code, or claim memory that it does not fill.

    Args:
        content: The whole file.
        name: Of the file, for the message.

    Raises:
        ModelRefused: The message says what of it.
    """
    try:
        _Network(name).check(memoryview(content))
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefused(
            f"{name} is no ONNX file, or a damaged one ({type(error).__name__}); export it again"
        ) from None


class _Network:
    def __init__(self, name: str) -> None:
        self.name = name

    def refuse(self, what: str) -> ModelRefused:
        return ModelRefused(f"{self.name}: {what}")

    def check(self, model: memoryview) -> None:
        has_graph = False
        for field, value in _fields(model):
            if field == 8 and isinstance(value, memoryview):  # opset_import
                self._check_domain(_text(value, 1))
            elif field == 25:  # functions
                raise self.refuse("it defines functions of its own; export it without (they are inlined)")
            elif field == 7 and isinstance(value, memoryview):
                has_graph = True
                self._check_graph(value, 0)
        if not has_graph:
            raise self.refuse("it holds no graph, so it is no ONNX network; export it again")

    def _check_domain(self, domain: str) -> None:
        if domain not in OWN_DOMAINS:
            raise self.refuse(
                f"it needs operators of the domain {domain[:64]!r}, which are code of their own; export it with the "
                "operators of ONNX alone"
            )

    def _check_graph(self, graph: memoryview, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.refuse(f"its graphs are nested more than {MAX_DEPTH} deep")
        nodes: list[memoryview] = []
        shapes: dict[str, int] = {}
        for field, value in _fields(graph):
            if not isinstance(value, memoryview):
                continue
            if field == 1:
                nodes.append(value)
            elif field == 5:
                tensor = self._check_tensor(value)
                shapes[tensor.name] = tensor.made_elements
            elif field == 15:
                raise self.refuse("it has sparse weights, which are not read; export it with dense ones")
        for node in nodes:
            self._check_node(node, shapes, depth)

    def _check_node(self, node: memoryview, shapes: dict[str, int], depth: int) -> None:
        inputs, outputs, kind = [], [], ""
        constant = 0
        for field, value in _fields(node):
            if not isinstance(value, memoryview):
                continue
            if field == 1:
                inputs.append(_decoded(value))
            elif field == 2:
                outputs.append(_decoded(value))
            elif field == 4:
                kind = _decoded(value)
            elif field == 7:
                self._check_domain(_decoded(value))
            elif field == 5:
                constant = max(constant, self._check_attribute(value, depth))
        if kind == "Constant":
            shapes.update(dict.fromkeys(outputs, constant))
        if kind in _MAKERS and any(shapes.get(name, 0) * 4 > MAX_MADE_BYTES for name in inputs):
            raise self.refuse(f"its operator {kind} makes more than {MAX_MADE_BYTES >> 30} GiB out of nothing")

    def _check_attribute(self, attribute: memoryview, depth: int) -> int:
        numbers: list[int] = []
        largest = 0
        for field, value in _fields(attribute):
            if field in (6, 11) and isinstance(value, memoryview):  # g, graphs
                self._check_graph(value, depth + 1)
            elif field in (5, 10) and isinstance(value, memoryview):  # t, tensors
                largest = max(largest, self._check_tensor(value).made_elements)
            elif field in (22, 23):
                raise self.refuse("it has sparse constants, which are not read; export it with dense ones")
            elif field == 8:  # ints
                numbers += [value] if isinstance(value, int) else list(_varints(value))
        return max(largest, math.prod(numbers) if numbers else 0)

    def _check_tensor(self, tensor: memoryview) -> _Tensor:
        dims: list[int] = []
        kind, held, name, raw = 0, 0, "", memoryview(b"")
        numbers: list[int] = []
        for field, value in _fields(tensor):
            if field == 1:
                dims += [value] if isinstance(value, int) else list(_varints(value))
            elif field == 2 and isinstance(value, int):
                kind = value
            elif field == 8 and isinstance(value, memoryview):
                name = _decoded(value)
            elif field == 13 or (field == 14 and value == 1):  # external_data, data_location EXTERNAL
                raise self.refuse(
                    "its weights lie in another file (external data), which is not opened; save it as one file"
                )
            elif field == 7:  # int64_data
                numbers += [value] if isinstance(value, int) else list(_varints(value))
            elif field == 9 and isinstance(value, memoryview):
                raw = value
            elif field in (4, 5, 6, 10, 11):
                # packed or one by one; a number takes a byte of the file at least
                held += 1 if isinstance(value, int) else value.nbytes
        elements = math.prod(dims)
        if min(dims, default=1) < 0:
            raise self.refuse(f"the tensor {name[:64]!r} has a negative length")
        there = max(raw.nbytes / _BYTES_OF_TYPE.get(kind, _SMALLEST_BYTES), held, len(numbers))
        if kind != 8 and elements > there:
            size = elements * _BYTES_OF_TYPE.get(kind, 1)
            raise self.refuse(
                f"the tensor {name[:64]!r} declares {size / 2**30:.3g} GiB and holds {raw.nbytes + held} bytes; "
                "export it again"
            )
        if kind == 7 and len(dims) <= 1 and elements <= 16:
            shape = numbers or list(struct.unpack(f"<{raw.nbytes // 8}q", raw[: raw.nbytes // 8 * 8]))
            return _Tensor(name, math.prod(shape) if shape else 0)
        return _Tensor(name, 0)


def _fields(message: memoryview) -> Iterator[tuple[int, _Value]]:
    """Number and value of each field; fixed-width ones as their bytes."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, position = _varint(message, position)
            yield field, number - 2**64 if number >= 2**63 else number
            continue
        if wire == 2:
            length, position = _varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise IndexError(f"wire type {wire}")
        if position + length > end:
            raise IndexError("a field goes beyond its message")
        yield field, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (2**64 - 1), position
    raise IndexError("a number of more than 10 bytes")


def _varints(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        number, position = _varint(packed, position)
        yield number - 2**64 if number >= 2**63 else number


def _text(message: memoryview, wanted: int) -> str:
    return next((_decoded(v) for field, v in _fields(message) if field == wanted and isinstance(v, memoryview)), "")


def _decoded(value: memoryview) -> str:
    return bytes(value).decode()
