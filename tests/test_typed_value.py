"""What is typed as a parameter's value."""

from __future__ import annotations

import pytest

from dlp_lab.typed_value import typed_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("1,2,3", [1, 2, 3]),
        ("nearest", "nearest"),
        ("01", "01"),
        ("", []),
        ('{"a": 1}', {"a": 1}),
        ("NaN", "NaN"),
        ("1,-Infinity", "1,-Infinity"),
        ("1e400", "1e400"),
        ("1e4", 1e4),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_what_is_no_json_is_text(text: str, value: object) -> None:
    assert typed_value(text) == value
