"""What the ways to make sums agree on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 16
"""Sums come in blocks of so many along the axis; arrays have room for whole blocks."""


def whole_blocks(length: int) -> int:
    """The length, up to the end of its last block."""
    return -(-length // BLOCK) * BLOCK
