from __future__ import annotations

from pathlib import Path

import pytest

from tests.phantom import write_phantom_series


@pytest.fixture
def root(tmp_path) -> Path:
    write_phantom_series(tmp_path / "case")
    return tmp_path
