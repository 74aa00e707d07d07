"""The command line, run as its user runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def cli(
    *arguments: str | Path, cwd: Path, program: str = "main", packages: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program.

    Args:
        arguments: Its arguments.
        cwd: Its folder.
        program: Function of `dlp_lab.cli`.
        packages: Folders of packages to be installed besides; those that other tests installed are not.
    """
    script = f"import sys; from dlp_lab.cli import {program}; sys.exit({program}())"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [REPOSITORY, *packages]))},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr, sep="\n")  # seen where a test fails
    return done
