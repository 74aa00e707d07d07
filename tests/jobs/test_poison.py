"""Some poison in each run of the suite; `python -m benchmarks.poison` is the whole of it."""

from __future__ import annotations

import sys

import pytest

from benchmarks import poison
from tests.patience import PATIENCE_S


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_jobs_that_harm_their_process_harm_no_other(monkeypatch, capsys, probe_package):
    quick = ("segfault", "abort", "exit", "allocate")
    monkeypatch.setattr(poison, "POISONS", {name: poison.POISONS[name] for name in quick})
    monkeypatch.setattr(sys, "argv", ["poison", "--innocent", "6", "--seconds", f"{PATIENCE_S:g}"])
    assert poison.main() == 0, capsys.readouterr().out
