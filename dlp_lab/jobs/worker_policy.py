"""What a worker process may take, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_NICENESS = 19
DEFAULT_NICENESS = 10
"""Beside a notebook at work a job then gets a tenth of a processor that both want, and all that nobody else wants."""


@dataclass(frozen=True)
class WorkerPolicy:
    """Of the worker processes of this machine.

    Attributes:
        jobs: How many jobs a process runs, one after the other, before it is replaced.
        grown_bytes: A process that holds so much more memory after a job than when it was new is replaced.
        idle_seconds: A process without a job is closed after so long: a minute covers the pauses of a person at work,
            and a server that nobody uses holds no models in memory.
        memory_bytes: How much memory a process may have (RLIMIT_DATA); None for no limit of its own.
        niceness: How far it stands back behind what people wait for, 0 to 19 (`man 2 nice`), beside that of who starts
            it.
    """

    jobs: int = 100
    grown_bytes: int = 2**30
    idle_seconds: float = 60.0
    memory_bytes: int | None = None
    niceness: int = DEFAULT_NICENESS


DEFAULT_POLICY = WorkerPolicy()
