"""Waits for what threads of widgets do, and counts what widgets hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipywidgets.widgets import widget as ipywidgets_core


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value that `what` gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


@dataclass(frozen=True)
class Held:
    """What this process holds: connections of widgets, threads of widgets, open files of a folder."""

    comms: int
    threads: tuple[str, ...]
    files: tuple[str, ...]

    @classmethod
    def now(cls, folder: Path) -> Held:
        threads = tuple(
            sorted(one.name for one in threading.enumerate() if one.name.startswith("dlp-") and "jobs" not in one.name)
        )
        opened = []
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                opened.append(os.readlink(descriptor))
            except OSError:
                continue
        inside = tuple(sorted(name for name in opened if name.startswith(str(folder)) and name.endswith(".dcm")))
        return cls(len(ipywidgets_core._instances), threads, inside)
