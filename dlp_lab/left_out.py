"""Doing without optional packages that others load at once, at a cost, for something that is not asked of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def left_out(*packages: str) -> Iterator[None]:
    """What is imported in the block finds these packages absent; those that are loaded already stay.

    For the start of a program of our own, before there are threads that may import them.
    """
    modules: dict[str, Any] = sys.modules  # of which Python's own rule is: what is None there cannot be imported
    absent = [name for name in packages if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
