from __future__ import annotations

import sys

import numpy as np
import pytest

from dlp_lab.jobs.memory_limit import limited_memory

GIB = 2**30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not limit data")


def test_what_a_file_cannot_need_is_not_given() -> None:
    with limited_memory(), pytest.raises(MemoryError):
        np.empty(5 * GIB, np.uint8)


def test_a_large_series_gets_what_it_declares() -> None:
    with limited_memory(declared_bytes=GIB):
        assert np.empty(5 * GIB, np.uint8).nbytes == 5 * GIB


def test_afterwards_there_is_no_limit() -> None:
    with limited_memory():
        pass
    assert np.empty(5 * GIB, np.uint8).nbytes == 5 * GIB
