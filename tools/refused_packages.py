"""Print what becomes of packages that must be refused, as a table: `python -m tools.refused_packages`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dlp_lab.errors import DlpError
from dlp_lab.models.registry import MODELS_VARIABLE
from tests.models.refused_packages import REFUSED

HEADER = "| what | the message |\n|---|---|"


def table() -> str:
    """All refused packages with their messages, as Markdown."""
    rows = [HEADER]
    for refused in REFUSED:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[MODELS_VARIABLE] = str(Path(folder) / "registry")
            made = Path(folder) / "made"
            made.mkdir()
            try:
                refused.take(made)
            except DlpError as error:
                message = str(error)
            else:
                message = "**accepted**"
        rows.append(f"| {refused.what} | {message.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
