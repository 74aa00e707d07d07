"""How a process ended, in words."""

from __future__ import annotations

import signal


def how_it_ended(what: str, exit_status: int | None) -> str:
    """A clause that says how `what` ended, by its exit status: negative where a signal ended it, None if not known."""
    if exit_status is not None and exit_status < 0:
        try:
            name = signal.Signals(-exit_status).name
        except ValueError:
            name = f"signal {-exit_status}"
        hint = " (perhaps the machine ran out of memory)" if name == "SIGKILL" else ""
        return f"{what} was ended by {name}{hint}"
    return f"{what} ended with exit status {exit_status} and no answer"
