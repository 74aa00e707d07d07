"""A parameter's value as it is typed, on a command line or in a table."""

from __future__ import annotations

import json
from typing import Any


def typed_value(text: str) -> Any:
    """A value as JSON; `1,2,3` is a list, and what is no JSON is text."""
    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):  # the latter for thousands of brackets
            continue
    return text
