"""Values of elements, checked; of a data set, or of a frame as a mapping from keywords."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dlp_lab.errors import Malformed

LARGEST_NUMBER = 1e15
"""Beyond it float64 loses whole numbers; no real attribute comes near."""


def element_values(ds: Dataset | Mapping[str, Any], keyword: str) -> list[Any] | None:
    """The values of an element, however many; None where it is absent or empty."""
    value = ds.get(keyword)
    if value is None or value == "":
        return None
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def read_count(path: Path, ds: Dataset, keyword: str, default: int = 1) -> int:
    """A number of things, whatever its VR says; `default` where absent or 0.

    Raises:
        Malformed: It is below 0.
    """
    value = int(ds.get(keyword) or default)
    if value < 0:
        raise Malformed(f"{path.name}: {keyword} {Tag(keyword)} is {value}, a number above 0 was expected")
    return value


def read_numbers(path: Path, ds: Dataset | Mapping[str, Any], keyword: str, expected: int) -> tuple[float, ...] | None:
    """The `expected` numbers of an element; None where it is absent or empty.

    Raises:
        Malformed: There are more or fewer, or one is not finite.
    """
    values = element_values(ds, keyword)
    if not values:
        return None
    if len(values) != expected:
        raise Malformed(f"{path.name}: {keyword} {Tag(keyword)} needs {expected} numbers, it has {len(values)}")
    numbers = tuple(float(value) for value in values)
    if not all(abs(number) < LARGEST_NUMBER for number in numbers):  # also false for nan
        raise Malformed(f"{path.name}: {keyword} {Tag(keyword)} is not a finite number below {LARGEST_NUMBER:g}")
    return numbers
