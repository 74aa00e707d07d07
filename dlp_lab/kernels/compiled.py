"""Weighted sums in machine code, made by llvmlite (`pip install dlp-lab[fast]`) in a fraction of a second.

What makes it fast is said here once, for it cannot be seen in the code (`weighted_sums.py`):

* Sums stay in registers for all their taps. Along rows and planes, four neighbouring ones are made at once, so each
  value that is loaded counts for four of them. Along columns a stretch is as wide as registers allow.
* Two values of equal distance are added first: half of the multiplications are left.
* The rows and columns of a plane are summed while it is in the processor's nearer cache, several planes in one call, in
  which Python's lock is let go of.
* The number of taps is an argument. Nothing is compiled again for another sigma, and nothing is kept on disk.

The code is made for the processor that runs it, and lives in memory alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dlp_lab.kernels.blocks import Floats, whole_blocks
from dlp_lab.kernels.passes import InPlanes

FORBIDDEN_VARIABLE = "DLP_LAB_NO_COMPILED_KERNELS"
"""Set to anything, it leaves machine code to the libraries that came with it."""

_EXTRA_COLUMNS: Final = 8
_Function = Callable[..., None]


@cache
def compiled_passes() -> CompiledPasses | None:
    """Passes in machine code; None where llvmlite is not installed, cannot make any, or is not to."""
    if os.environ.get(FORBIDDEN_VARIABLE):
        return None
    try:
        return CompiledPasses()
    except (ImportError, OSError, RuntimeError):
        return None


class CompiledPasses:
    """`Passes` in machine code.

    Raises:
        ImportError: llvmlite is not installed.
        RuntimeError: It does not know this processor.
        OSError: The system lets no process make code (Linux).
    """

    def __init__(self) -> None:
        from llvmlite import binding, ir

        from dlp_lab.kernels import weighted_sums as words

        _refuse_where_code_is_forbidden()
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        features = binding.get_host_cpu_features()
        # 32 registers of 16 floats, or 16 of 8, as most processors have
        lanes, high_vectors = (16, 2) if features.get("avx512f") else (8, 1)
        high, wide = ([(lanes, most), (lanes, 1), (1, 1)] for most in (high_vectors, 8))
        module = ir.Module("weighted_sums")
        self._high = words.HIGH
        along_rows = words.Sums(module, "high_float32", high, words.HIGH)
        words.Sums(module, "high_int16", high, words.HIGH, into=ir.IntType(16))
        words.Sums(module, "single_float32", high[1:])
        words.Sums(module, "single_int16", high[1:], into=ir.IntType(16))
        words.PlaneSums(module, "planes", along_rows, words.SumsAlongColumns(module, "columns", wide))
        for kind in words.SOURCES:
            words.ReadRow(module, kind, lanes)
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=3, jit=True
        )
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)  # owns the code
        self._engine.finalize_object()
        self._sums = {
            (high, np.dtype(kind)): self._function(f"{name}_{kind}", "pppcccccccccc")
            for name, high in (("high", words.HIGH), ("single", 1))
            for kind in ("float32", "int16")
        }
        self._planes = self._function("planes", "pccppccpcpcppcppcpcpcccc")
        self._readers = {np.dtype(kind): self._engine.get_function_address(f"read_{kind}") for kind in words.SOURCES}

    def _function(self, name: str, parameters: str) -> _Function:
        """A function of pointers (p) and counts (c)."""
        kinds = {"p": ctypes.c_void_p, "c": ctypes.c_int64}
        prototype = ctypes.CFUNCTYPE(None, *(kinds[each] for each in parameters))
        return prototype(self._engine.get_function_address(name))

    def in_planes(self, weights_j: Floats, weights_i: Floats, columns: NDArray[np.intp], rows: int) -> InPlanes:
        return _CompiledInPlanes(self._planes, self._readers, weights_j, weights_i, columns, rows)

    def along_planes(self, lines: Floats, weights: Floats, sums: NDArray[Any]) -> None:
        planes, rows, columns = sums.shape
        whole = planes - planes % self._high
        for high, first, count in ((self._high, 0, whole // self._high), (1, whole, planes - whole)):
            if count:
                out, into = sums[first:], lines[first:]
                (sums_plane, sums_row), (plane, row) = ([n // a.itemsize for n in a.strides[:2]] for a in (out, into))
                distances = [sums_row, sums_plane * high, sums_plane, row, plane * high, plane]
                pointers = out.ctypes.data, into.ctypes.data, weights.ctypes.data
                self._sums[high, sums.dtype](*pointers, len(weights), rows, count, columns, *distances)


class _CompiledInPlanes:
    """`InPlanes` in machine code, with memory for one plane."""

    def __init__(
        self,
        function: _Function,
        readers: dict[np.dtype[Any], int],
        weights_j: Floats,
        weights_i: Floats,
        columns: NDArray[np.intp],
        rows: int,
    ) -> None:
        self._function, self._readers = function, readers
        self._weights_j, self._weights_i = weights_j, weights_i
        reach = len(weights_i) // 2
        places = np.arange(len(columns))
        is_beyond = columns != places - reach
        self._beyond, self._within = ((n[is_beyond]).astype(np.int64) for n in (places, columns + reach))
        self._columns = len(columns) - 2 * reach
        width = whole_blocks(self._columns) + 2 * reach + _EXTRA_COLUMNS
        self._tile = np.zeros((rows + len(weights_j) - 1, width), np.float32)
        self._rows = np.zeros((rows, width), np.float32)

    def sum(self, voxels: NDArray[Any], planes: Sequence[int], places: NDArray[np.intp], sums: Floats) -> None:
        if voxels.dtype not in self._readers or voxels.strides[2] != voxels.itemsize:
            voxels = np.stack([voxels[plane, places] for plane in planes]).astype(np.float32)
            planes, places = range(len(planes)), np.arange(len(places))
        numbers, places = np.array(planes, np.int64), places.astype(np.int64)
        weights_j, weights_i = self._weights_j, self._weights_i
        self._function(
            *(sums.ctypes.data, sums.strides[0] // 4, sums.strides[1] // 4),
            *(self._readers[voxels.dtype], voxels.ctypes.data, *voxels.strides[:2]),
            *(numbers.ctypes.data, len(numbers), places.ctypes.data, len(places)),
            *(self._tile.ctypes.data, self._rows.ctypes.data, self._tile.strides[0] // 4),
            *(self._beyond.ctypes.data, self._within.ctypes.data, len(self._beyond)),
            *(weights_j.ctypes.data, len(weights_j), weights_i.ctypes.data, len(weights_i)),
            *(self._columns, sums.shape[2], sums.shape[1]),
        )


def _refuse_where_code_is_forbidden() -> None:
    """Ask for memory whose content may be executed: LLVM, refused some, would end the process."""
    if sys.platform == "linux":
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
