"""The floor of a job: its input read, as many bytes as its output written, and nothing done."""

from __future__ import annotations

from pathlib import Path


def copy(source: str, target: str, _: str) -> None:
    """Read all files, and write as many."""
    for k, path in enumerate(Path(source).iterdir()):
        Path(target, f"{k:04d}.dcm").write_bytes(path.read_bytes())
