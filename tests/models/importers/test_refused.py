from __future__ import annotations

from pathlib import Path

import pytest

from dlp_lab.errors import ModelRefused
from tests.models.refused_packages import REFUSED, Refused


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.what)
def test_it_is_refused_by_name_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    registry = tmp_path / "registry"
    monkeypatch.setenv("DLP_LAB_MODELS", str(registry))
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises(ModelRefused) as raised:
        refused.take(made)
    assert refused.message in str(raised.value)
    assert len(str(raised.value)) < 700
    assert not registry.exists() or list(registry.iterdir()) == []


def test_no_two_are_alike() -> None:
    assert len({refused.what for refused in REFUSED}) == len(REFUSED)


def test_the_page_on_models_lists_them_all() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    assert [refused.what for refused in REFUSED if f"| {refused.what} |" not in page] == []
