"""`python -m dlp_lab` is `dlp-lab`."""

from __future__ import annotations

import gc
import sys

_OBJECTS_BEFORE_A_LOOK = 50_000


def main() -> int:
    """Entry point of `dlp-lab`."""
    # what a command imports is no garbage, and to look for some takes a tenth of its start
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)
    if sys.argv[1:2] == ["run"]:
        from dlp_lab.jobs.fork_server import prepare_fork_server

        prepare_fork_server(for_one_job=True)  # before all else: it loads the libraries of the job meanwhile
    from dlp_lab.cli import main as command_line

    status = command_line()
    gc.freeze()  # nor is it looked through once more at the end
    return status


if __name__ == "__main__":
    sys.exit(main())
