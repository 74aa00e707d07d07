"""`python -m dlp_lab` is `dlp-lab`."""

from __future__ import annotations

import gc
import os
import sys

_OBJECTS_BEFORE_A_LOOK = 50_000


def main() -> int:
    """Entry point of `dlp-lab`."""
    # what a command imports is no garbage, and to look for some takes a tenth of its start
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)
    _open_standard_streams()
    if sys.argv[1:2] in (["run"], ["serve"]) and not _has_current_folder():
        print("dlp-lab: the current folder was removed; go to another one and try again", file=sys.stderr)
        return 2
    if sys.argv[1:2] == ["run"]:
        from dlp_lab.jobs.fork_server import prepare_fork_server

        prepare_fork_server(for_one_job=True)  # before all else: it loads the libraries of the job meanwhile
    from dlp_lab.cli import main as command_line

    status = command_line()
    gc.freeze()  # nor is it looked through once more at the end
    return status


def _open_standard_streams() -> None:
    """Lead nowhere those that are closed, as by `>&-`: what is opened next would be taken for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
            os.set_inheritable(opened, True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _has_current_folder() -> bool:
    """Whether there is one: no process can be started from a folder that was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
