"""`python -m dlp_lab` is `dlp-lab`."""

from __future__ import annotations

import sys


def main() -> int:
    """Entry point of `dlp-lab`."""
    if sys.argv[1:2] == ["run"]:
        from dlp_lab.jobs.fork_server import prepare_fork_server

        prepare_fork_server(for_one_job=True)  # before all else: it loads the libraries of the job meanwhile
    from dlp_lab.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
