"""Memory for results is there before they are written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.result_memory import new_array


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system is asked in other ways")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_pages_of_a_large_new_array_are_there(threads: int) -> None:
    before = resident_bytes()
    array = new_array((33, 1000, 501), np.float32, threads)
    assert resident_bytes() - before > 0.95 * array.nbytes


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 1, 0), (33, 1000, 501)])
def test_a_new_array_is_one_of_numpys(shape: tuple[int, ...]) -> None:
    array = new_array(shape, np.int16, 2)
    assert (array.shape, array.dtype) == (shape, np.int16)
    assert array.flags.c_contiguous
    assert array.flags.writeable
