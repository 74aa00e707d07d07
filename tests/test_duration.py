from __future__ import annotations

import pytest

from dlp_lab.duration import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.0414, "0.04 s"),
        (0.994, "0.99 s"),
        (0.996, "1.0 s"),
        (7.34, "7.3 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_duration_is_told_in_units_that_fit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
