"""How many jobs run at once."""

from __future__ import annotations

from dlp_lab.processors import available_processors


def default_slots() -> int:
    """How many jobs run at once unless told otherwise: half of the processors, for a task may use more than one."""
    return max(1, available_processors() // 2)
