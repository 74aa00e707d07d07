"""How many jobs run at once."""

from __future__ import annotations

import os


def default_slots() -> int:
    """How many jobs run at once unless told otherwise: half of the processors, for a task may use more than one."""
    return max(1, (os.cpu_count() or 1) // 2)
