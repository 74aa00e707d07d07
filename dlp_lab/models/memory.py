"""How much memory a run of a network may take."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_LEAST_BYTES = 2**28
_LEAST_BLENDED_BYTES = 2**30


@dataclass(frozen=True)
class Memory:
    """What a run may take, beside the volumes themselves.

    Attributes:
        network_bytes: Of a pass of the network, where its description tells what a voxel takes.
        blended_bytes: Of the sums of blended windows.
    """

    network_bytes: int
    blended_bytes: int = _LEAST_BLENDED_BYTES

    @classmethod
    def of_machine(cls) -> Memory:
        """A third of what is free now for a pass, a quarter for sums: where they fit, no window is run twice."""
        free = free_bytes()
        return cls(max(_LEAST_BYTES, free // 3), max(_LEAST_BLENDED_BYTES, free // 4))


def free_bytes() -> int:
    """What this process can still get: of the machine, of its container, and of its own limit, the least."""
    limits = [_free_in_machine()]
    try:
        most = (_CGROUP / "memory.max").read_text().strip()
        if most != "max":
            limits.append(int(most) - int((_CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no container, or one of another kind
    own_limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if own_limit != resource.RLIM_INFINITY:
        limits.append(own_limit - _data_bytes())
    return max(0, min(limits))


def _free_in_machine() -> int:
    """With what the system would give up for it, such as copies of files, where the system tells."""
    try:
        line = next(line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _data_bytes() -> int:
    """What RLIMIT_DATA counts of this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
