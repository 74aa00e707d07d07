"""Weighted sums in machine code, made by llvmlite (`pip install dlp-lab[fast]`) in a fraction of a second.

What makes it fast is said here once, for it cannot be seen in the code (`weighted_sums.py`):

* Sums stay in registers for all their taps. Along rows and planes, four neighbouring ones are made at once, so each
  value that is loaded counts for four of them. Along columns values move from lane to lane instead of being loaded.
* Two values of equal distance are added first: half of the multiplications are left.
* The steps of a strip (`strip_code.py`) are one call, in which Python's lock is let go of.
* The number of taps is an argument. Nothing is compiled again for another sigma, and nothing is kept on disk.

The code is made for the processor that runs it, and lives in memory alone.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import BLOCK, Floats, whole_blocks
from dlp_lab.kernels.edges import BEYOND
from dlp_lab.kernels.passes import Strip
from dlp_lab.kernels.strip_plan import Places, Schedule, StripPlan

FORBIDDEN_VARIABLE = "DLP_LAB_NO_COMPILED_KERNELS"
"""Set to anything, it leaves machine code to the libraries that came with it."""

_PLANES_AT_ONCE: Final = 4
"""As many as are summed at once: nothing is moved in the window, which is the smaller the fewer they are."""
_STEPS_IN_A_CALL: Final = 16
"""Some milliseconds: who ends the work waits for so many."""


@cache
def compiled_passes() -> CompiledPasses | None:
    """Passes in machine code; None where llvmlite is not installed, cannot make any, or is not to."""
    if os.environ.get(FORBIDDEN_VARIABLE):
        return None
    try:
        return CompiledPasses()
    except (ImportError, OSError, RuntimeError):
        return None


def passes_made_before() -> CompiledPasses | None:
    """`compiled_passes`, if they were asked for before: what is over sooner than machine code is made takes no part."""
    return compiled_passes() if compiled_passes.cache_info().currsize else None


class CompiledPasses:
    """`Passes` in machine code.

    Raises:
        ImportError: llvmlite is not installed.
        RuntimeError: It does not know this processor.
        OSError: The system lets no process make code (Linux).
    """

    def __init__(self) -> None:
        from llvmlite import binding, ir

        from dlp_lab.kernels import measuring_code, strip_code, weighted_sums

        _refuse_where_code_is_forbidden()
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        features = binding.get_host_cpu_features()
        # 32 registers of 16 floats, or 16 of 8, as most processors have
        lanes, high_vectors = (16, 2) if features.get("avx512f") else (8, 1)
        high, wide = ([(lanes, most), (lanes, 1), (1, 1)] for most in (high_vectors, 8))
        module = ir.Module("sums")
        along_rows = weighted_sums.Sums(module, "rows", high, weighted_sums.HIGH)
        along_columns = weighted_sums.SumsAlongColumns(module, "columns", wide)
        for kind, element in (("float32", ir.FloatType()), ("int16", ir.IntType(16))):
            weighted_sums.SumsAcrossPlanes(module, f"high_{kind}", high, weighted_sums.HIGH, into=element)
            weighted_sums.SumsAcrossPlanes(module, f"single_{kind}", high[1:], into=element)
        for kind in strip_code.SOURCES:
            strip_code.ReadRow(module, kind, lanes)
        strip_code.StripSums(module, "strip", along_rows, along_columns)
        measuring_code.Measuring(module, "measure", lanes)
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=3, jit=True
        )
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)  # owns the code
        self._engine.finalize_object()
        address = self._engine.get_function_address
        self._code = _Code(
            strip=ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address("strip")),
            high=weighted_sums.HIGH,
            record=strip_code.RECORD,
            readers={np.dtype(kind): address(f"read_{kind}") for kind in strip_code.SOURCES},
            writers={
                np.dtype(kind): (address(f"high_{kind}"), address(f"single_{kind}")) for kind in ("float32", "int16")
            },
        )

        places, counts = [ctypes.c_void_p] * 5, [ctypes.c_int64] * 5
        self._measure = ctypes.CFUNCTYPE(None, *places, *counts)(address("measure"))

    def planes_at_once(self, reach: int) -> int:
        return _PLANES_AT_ONCE

    def strip(self, plan: StripPlan) -> Strip:
        return _CompiledStrip(self._code, plan)

    def measure(
        self,
        planes: NDArray[np.int16],
        low: NDArray[np.int16],
        high: NDArray[np.int16],
        of_rows: NDArray[np.int32],
        of_columns: NDArray[np.int32],
    ) -> None:
        """Find the ends of the values of each plane, and the sums of its rows and of its columns, at one look.

        Args:
            planes: `(n, rows, columns)` array with columns beside each other.
            low, high: `(n,)` arrays for least and greatest values.
            of_rows, of_columns: C-contiguous `(n, rows)` and `(n, columns)` arrays for sums.
        """
        places = [array.ctypes.data for array in (planes, low, high, of_rows, of_columns)]
        self._measure(*places, *planes.shape, *planes.strides[:2])


@dataclass(frozen=True)
class _Code:
    """Functions in machine code.

    Attributes:
        strip: Told where its numbers are.
        high: How many rows it sums at once.
        record: The names of these numbers, in their order.
        readers: Addresses of those that read a kind of voxels.
        writers: Addresses of those that sum planes into a kind of result: several at once, and one by one.
    """

    strip: Callable[[int], None]
    high: int
    record: tuple[str, ...]
    readers: dict[np.dtype[Any], int]
    writers: dict[np.dtype[Any], tuple[int, int]]


class _CompiledStrip:
    """`Strip` in machine code, with memory for a window and for one plane on its way to it."""

    def __init__(self, code: _Code, plan: StripPlan) -> None:
        self._code, self._plan = code, plan
        _, reach_j, reach_i = plan.reach_kji
        columns = plan.places_of_columns
        places = np.arange(len(columns))
        is_beyond = (columns != places - reach_i) | (columns == BEYOND)
        reach_up = whole_blocks(reach_i)
        line = whole_blocks(whole_blocks(plan.shape_kji[2]) + reach_i) + reach_up
        line += BLOCK if plan.is_constant_beyond else 0  # for the constant, at the end of a line of sums
        # an odd number of blocks: neighbours of a column would else share the same few places of the cache
        line += 0 if line // BLOCK % 2 else BLOCK
        self._tile = _aligned((plan.rows + 2 * reach_j, line))
        # sums along rows begin where a vector does, after those beyond the edge
        self._summed = _aligned((code.high, line))[:, reach_up - reach_i :]
        self._summed[:, -1] = plan.beyond
        self._beyond = places[is_beyond].astype(np.int64)
        of = columns[is_beyond]
        self._within = np.where(of == BEYOND, self._summed.shape[1] - 1, of + reach_i)
        self._line = line

    def windows(self, count: int) -> Floats:
        windows = _aligned((count, self._plan.window_slots, self._plan.rows, self._line))
        windows[:, self._plan.slots :] = self._plan.beyond
        return windows

    def convolve(
        self, voxels: NDArray[Any], result: NDArray[Any], rows: slice, schedule: Schedule, window: Floats
    ) -> Iterator[None]:
        places = self._plan.places_of_rows(rows)
        self._tile[: len(places)][places == BEYOND] = self._plan.beyond
        if voxels.dtype not in self._code.readers or voxels.strides[2] != voxels.itemsize:
            # what machine code cannot read is copied as it could
            voxels = np.stack([plane[places].astype(np.float32) for plane in voxels])
            places = np.where(places == BEYOND, BEYOND, np.arange(len(places)))
        numbers = self._numbers(voxels, result[:, rows], places, schedule, window)
        for first in range(0, schedule.steps, _STEPS_IN_A_CALL):
            numbers |= {"first_step": first, "last_step": min(first + _STEPS_IN_A_CALL, schedule.steps)}
            record = np.array([numbers[name] for name in self._code.record], np.int64)
            self._code.strip(record.ctypes.data)
            yield

    def _numbers(
        self, voxels: NDArray[Any], result: NDArray[Any], places: Places, schedule: Schedule, window: Floats
    ) -> dict[str, int]:
        """What machine code is told, but for which steps to make (`strip_code.RECORD`)."""
        plan = self._plan
        planes, height, columns = result.shape
        high, single = self._code.writers[result.dtype]
        weights_k, weights_j, weights_i = plan.weights_kji
        result_plane, result_row, _ = (stride // result.itemsize for stride in result.strides)
        arrays = {
            "source": voxels,
            "result": result,
            "places": places,
            "tile": self._tile,
            "summed": self._summed,
            "window": window,
            "beyond": self._beyond,
            "within": self._within,
            "weights_k": weights_k,
            "weights_j": weights_j,
            "weights_i": weights_i,
            "slots_of_taps": schedule.slots_of_taps,
            "fill_planes": schedule.fill_planes,
            "fill_slots": schedule.fill_slots,
            "fill_ends": schedule.fill_ends,
        }
        return {name: array.ctypes.data for name, array in arrays.items()} | {
            "read_row": self._code.readers[voxels.dtype],
            "sum_high": high,
            "sum_single": single,
            "planes": planes,
            "planes_at_once": plan.planes_at_once,
            "places_count": len(places),
            "columns": columns,
            "width": whole_blocks(columns),
            "height": height,
            "whole_height": whole_blocks(height),
            "beyond_count": len(self._beyond),
            "taps_k": len(weights_k),
            "taps_j": len(weights_j),
            "taps_i": len(weights_i),
            "source_plane": voxels.strides[0],
            "source_row": voxels.strides[1],
            "result_plane": result_plane,
            "result_row": result_row,
            "result_bytes": result.itemsize,
            "slot": window[0].size,
            "line": self._line,
        }


def _aligned(shape: tuple[int, ...]) -> Floats:
    """Zeros that begin with a line of the cache, as vectors in them then do; one that crosses lines is loaded twice."""
    size = math.prod(shape)
    memory = np.zeros(size + BLOCK, np.float32)
    start = -memory.ctypes.data % 64 // 4
    return memory[start : start + size].reshape(shape)


def _refuse_where_code_is_forbidden() -> None:
    """Ask for memory whose content may be executed: LLVM, refused some, would end the process."""
    if sys.platform == "linux":
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
