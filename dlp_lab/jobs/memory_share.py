"""Whether a job's volumes fit into the memory, and how thick slabs of them may be."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

from dlp_lab.errors import BadParameters

SHARE_VARIABLE = "DLP_LAB_MEMORY_SHARE"
"""The share of the free memory that the volumes of a job may take if they are whole in memory; 0: none are."""

_DEFAULT_SHARE = 0.1
_SLAB_BYTES = 72 * 2**20
"""Of source and result together: thick enough that slices read twice do not count."""
_MULTIPLE = 16
_CGROUP = Path("/sys/fs/cgroup")


def fits(volume_bytes: int) -> bool:
    """Whether volumes of so many bytes may be held in memory.

    Raises:
        BadParameters: As `share_of_memory`.
    """
    return volume_bytes <= share_of_memory() * free_memory_bytes()


def slab_thickness(slice_bytes: int, halo: int) -> int:
    """How many slices to compute at once.

    Args:
        slice_bytes: Of a slice of the source and of the result together.
        halo: How many more slices are read and computed to either side. At least as many are left, so that no more
            than two thirds of the work are done for slices that are dropped.

    Returns:
        A multiple of 16.
    """
    return max(_MULTIPLE, halo, _SLAB_BYTES // slice_bytes - 2 * halo) // _MULTIPLE * _MULTIPLE


def free_memory_bytes() -> int:
    """How much memory this process may still take, as far as the system tells; Linux."""
    known = [_available(), _left_to_the_group(), _left_to_this_process()]
    return min(found for found in known if found is not None)


def share_of_memory() -> float:
    """The part of the free memory that volumes may take.

    Raises:
        BadParameters: The environment sets another share than one from 0 to 1.
    """
    told = os.environ.get(SHARE_VARIABLE, _DEFAULT_SHARE)
    with contextlib.suppress(ValueError):
        if 0 <= float(told) <= 1:
            return float(told)
    raise BadParameters(f"{SHARE_VARIABLE} is {told!r}; it is a share of the free memory, a number from 0 to 1")


def _available() -> int:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_to_the_group() -> int | None:
    """What a container or a batch system leaves, whose files in memory make room when it is needed (cgroup 2)."""
    most, used = (_lines(_CGROUP / name)[:1] for name in ("memory.max", "memory.current"))
    if not used or most in ([], ["max"]):
        return None
    files = dict(line.split() for line in _lines(_CGROUP / "memory.stat")).get("file", "0")
    return max(0, int(most[0]) - int(used[0]) + int(files))


def _left_to_this_process() -> int | None:
    """What the limits of its data (`ulimit -d`) and its addresses (`ulimit -v`) leave."""
    used = dict(line.split(":", 1) for line in _lines(Path("/proc/self/status")))
    left = [
        max(0, soft - int(used.get(name, "0").split()[0]) * 1024)
        for limit, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize"))
        if (soft := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY
    ]
    return min(left, default=None)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
