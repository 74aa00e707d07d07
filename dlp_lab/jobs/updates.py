"""What an executor tells about the jobs it runs. Also the words of the pipe between a worker and its executor."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """An attempt at a job is this far, 0 to 1, and does what `message` says."""

    uid: str
    attempt: int
    fraction: float
    message: str


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    """The result is whole and in its place."""

    uid: str
    attempt: int
    warnings: list[str]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The attempt answered that it cannot be done, and why; another attempt would say the same."""

    uid: str
    attempt: int
    code: str
    message: str


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """The attempt was stopped because `cancel` was called."""

    uid: str
    attempt: int


class Crashed(msgspec.Struct, frozen=True, tag="crashed"):
    """The attempt ended without an answer."""

    uid: str
    attempt: int
    reason: str


class Hindered(msgspec.Struct, frozen=True, tag="hindered"):
    """The attempt failed through no fault of the job: a full or failing disk, a process lost. A later one may do."""

    uid: str
    attempt: int
    code: str
    message: str


Ending = Succeeded | Failed | Cancelled | Crashed | Hindered
Update = Progress | Ending
