"""A parameter's value as it is typed, on a command line or in a table."""

from __future__ import annotations

import json
import math
from typing import Any


def typed_value(text: str) -> Any:
    """A value as JSON; `1,2,3` is a list, and what is no JSON is text, such as NaN or a number that no float holds."""
    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate, parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError):  # the latter for thousands of brackets
            continue
    return text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON")
    return value
