"""A root with cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.cohort.door import Cohort, run_cohort
from dlp_lab.jobs import handle
from tests.phantom import write_phantom_series


@pytest.fixture
def root(tmp_path: Path, probe_package: Path) -> Iterator[Path]:
    """Three patients of one series each; the queue of this process is closed at the end."""
    root = tmp_path / "root"
    for number in range(3):
        write_phantom_series(root / f"ZZDIR{number}" / "mr", modality="MR", seed=number)
    yield root
    for (_, workspace), service in list(handle._services.items()):
        if workspace.root == root.resolve():
            service.close()


class Runs:
    """`run_cohort` on a root, quietly."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "blurred"

    def __call__(self, cases: Path | None = None, task: str = "3dblur", **options: Any) -> Cohort:
        options = {"out": self.out, "root": self.root, "progress": False, **options}
        return run_cohort(cases or self.root, task, **options)


@pytest.fixture
def run(root: Path) -> Runs:
    return Runs(root)
