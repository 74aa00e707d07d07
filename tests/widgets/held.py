"""What widgets hold."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from ipywidgets.widgets import widget as ipywidgets_core

from tests.jobs.waiting import opened_by


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
        inside = tuple(
            sorted(name for name in opened_by().values() if name.startswith(str(folder)) and name.endswith(".dcm"))
        )
        return cls(len(ipywidgets_core._instances), threads, inside)
