"""The process of a contestant: one JSON request a line on standard input, one reply a line on standard output.

It runs in the contestant's own environment, so it needs nothing but Python itself. What the contestant prints goes to
standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _cpu_s() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _memory_mib(field: str) -> float:
    """VmRSS or VmHWM; 0 where the system does not tell."""
    if not _STATUS.exists():
        return 0.0
    found = (line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(next(found)) / 1024


def _forget_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # VmHWM begins again at VmRSS


def _measured(request: dict) -> dict:
    module, name = request["function"].split(":")
    function = getattr(importlib.import_module(module), name)
    gc.collect()
    _forget_peak()
    cpu, wall = _cpu_s(), time.perf_counter()
    told = function(*request["arguments"])
    wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
    return {"wall_s": wall, "cpu_s": cpu, "peak_mib": _memory_mib("VmHWM"), "told": told or {}}


def main() -> None:
    """Serve until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = _measured(json.loads(line))
        except Exception as error:  # whatever a peer raises; the table says it
            reply = {"failure": f"{type(error).__name__}: {str(error)[:300]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
