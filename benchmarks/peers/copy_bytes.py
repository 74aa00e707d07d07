"""The floor of a job: its input read, as many bytes as its output written, and nothing done."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def copy(source: str, target: str, _: str) -> None:
    """Read all files, and write as many."""
    _copy_some(sorted(Path(source).iterdir()), Path(target))


def copy_on_two_threads(source: str, target: str, _: str) -> None:
    """The same, half of the files on each of two threads."""
    files = sorted(Path(source).iterdir())
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda first: _copy_some(files[first::2], Path(target)), range(2)))


def _copy_some(files: Sequence[Path], target: Path) -> None:
    for path in files:
        (target / f"{path.name}.dcm").write_bytes(path.read_bytes())
