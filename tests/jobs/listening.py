"""Where processes listen."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil


def listening_addresses(pid: int | None = None) -> set[Any]:
    """IP and port wherever a process (this one: None) and those below it listen; any may end meanwhile."""
    itself = psutil.Process(pid)
    found = set()
    for process in (itself, *itself.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections("inet")
            found |= {connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN}
    return found
