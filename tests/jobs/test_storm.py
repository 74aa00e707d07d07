"""A small storm in each run of the suite; `python -m benchmarks.storm` is the large one."""

from __future__ import annotations

import sys

import pytest

from benchmarks import storm
from tests.patience import PATIENCE_S


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_nothing_is_lost_when_workers_and_servers_are_killed_and_jobs_cancelled(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["storm", "--kills", "6", "--jobs", "12", "--cancel", "4", "--seed", "1"])
    monkeypatch.setattr(storm, "SECONDS_TO_CANCEL", PATIENCE_S)  # that it is quick is measured by the large one
    assert storm.main() == 0, capsys.readouterr().out
