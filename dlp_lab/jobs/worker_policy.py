"""What a worker process may take, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerPolicy:
    """Of the worker processes of this machine.

    Attributes:
        jobs: How many jobs a process runs, one after the other, before it is replaced.
        grown_bytes: A process that holds so much more memory after a job than when it was new is replaced.
        idle_seconds: A process without a job is closed after so long: a minute covers the pauses of a person at work,
            and a server that nobody uses holds no models in memory.
        memory_bytes: How much memory a process may have (RLIMIT_DATA); None for no limit of its own.
    """

    jobs: int = 100
    grown_bytes: int = 2**30
    idle_seconds: float = 60.0
    memory_bytes: int | None = None


DEFAULT_POLICY = WorkerPolicy()
