"""The parameters of a task as a form needs them, read from its JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
Kind = Literal["choice", "boolean", "integer", "number", "numbers", "text", "json"]

_STEPS_OF_A_SLIDER = 50
_ORDINARY_OVER_DEFAULT = 10
_WIDE_OVER_DEFAULT = 20
_WITHOUT_BOUNDS = 100.0


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name, label, unit, description: What it is called, and what it is for; the unit may be "".
        kind: How it is asked for. "numbers" is one number or several; "json" the way out for what has no form of its
            own.
        default: As a JSON value.
        may_be_none: Whether null is one of its values.
        choices: The values of a choice.
        least, greatest: Of a number, or of each of several; None where there is no bound.
        least_excluded: Whether `least` itself is not allowed.
        count: How many numbers "numbers" may be.
    """

    name: str
    label: str
    unit: str
    description: str
    kind: Kind
    default: Any
    may_be_none: bool = False
    choices: tuple[Any, ...] = ()
    least: float | None = None
    greatest: float | None = None
    least_excluded: bool = False
    count: int = 1


@dataclass(frozen=True)
class SliderRange:
    """Ends and step of a slider: the values that are ordinary, for those allowed may reach a thousand times as far."""

    low: float
    high: float
    step: float


def parameters_of(schema: Schema) -> list[Parameter]:
    """The parameters of a task, in the order of its JSON Schema (`Task.json_schema`)."""
    return [_parameter(name, rule) for name, rule in schema.get("properties", {}).items()]


def slider_range(parameter: Parameter, default: float) -> SliderRange:
    """Where the slider of a number begins and ends: ten times as far as its default, and nowhere outside its bounds.

    Of a default of 0 there is no multiple; then it ends at 100, or at bounds that are not much farther.
    """
    ordinary = _ORDINARY_OVER_DEFAULT * abs(default) or _WITHOUT_BOUNDS
    wide = _WIDE_OVER_DEFAULT * (abs(default) or _WITHOUT_BOUNDS)
    low, high = parameter.least, parameter.greatest
    if high is None or high > wide:
        high = ordinary
    if low is None or low < -wide:
        low = -ordinary
    if high <= low:
        high = low + 1
    step = 10.0 ** math.floor(math.log10((high - low) / _STEPS_OF_A_SLIDER))
    if parameter.kind == "integer":
        step = max(1.0, step)
    return SliderRange(low + step if parameter.least_excluded and low == parameter.least else low, high, step)


def _parameter(name: str, rule: Schema) -> Parameter:
    may_be_none, inner = _without_null(rule)
    kind = _kind(inner)
    number, count = _number_rule(inner) if kind in ("integer", "number", "numbers") else ({}, 1)
    excluded = "exclusiveMinimum" in number
    return Parameter(
        name=name,
        label=str(rule.get("title", name)),
        unit=str(rule.get("unit", "")),
        description=str(rule.get("description", "")),
        kind=kind,
        default=rule.get("default"),
        may_be_none=may_be_none,
        choices=tuple(inner["enum"]) if kind == "choice" else (),
        least=number.get("exclusiveMinimum" if excluded else "minimum"),
        greatest=number.get("exclusiveMaximum", number.get("maximum")),
        least_excluded=excluded,
        count=count,
    )


def _without_null(rule: Schema) -> tuple[bool, Schema]:
    """Whether null is allowed, and the rule for all else."""
    if None in rule.get("enum", ()):
        return True, {**rule, "enum": [choice for choice in rule["enum"] if choice is not None]}
    kinds = rule.get("anyOf")
    if kinds is None:
        return False, rule
    others = [one for one in kinds if one.get("type") != "null"]
    may_be_none = len(others) < len(kinds)
    return may_be_none, others[0] if len(others) == 1 else {**rule, "anyOf": others}


def _kind(rule: Schema) -> Kind:
    if "enum" in rule:
        return "choice"
    match rule.get("type"):
        case "boolean":
            return "boolean"
        case "integer":
            return "integer"
        case "number":
            return "number"
        case "string":
            return "text"
    return "numbers" if _is_numbers(rule.get("anyOf", ())) else "json"


def _is_numbers(kinds: Sequence[Schema]) -> bool:
    """Whether the rule is: one number, or a fixed number of them."""
    if len(kinds) != 2:
        return False
    one, several = sorted(kinds, key=lambda kind: kind.get("type") == "array")
    return (
        one.get("type") in ("number", "integer")
        and several.get("type") == "array"
        and several.get("items", {}).get("type") in ("number", "integer")
        and several.get("minItems") == several.get("maxItems") is not None
    )


def _number_rule(rule: Schema) -> tuple[Schema, int]:
    """The rule of one number, and how many there may be."""
    kinds = rule.get("anyOf")
    if kinds is None:
        return rule, 1
    one, several = sorted(kinds, key=lambda kind: kind.get("type") == "array")
    return one, several["maxItems"]
