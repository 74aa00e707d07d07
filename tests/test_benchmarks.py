"""The measurements beside peers: that they tell the truth about what ran, and that they run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.contest import RESULTS, Contestant, hold

HERE = "tests.test_benchmarks"


def rest(milliseconds: str) -> dict[str, float]:
    time.sleep(float(milliseconds) / 1000)
    return {"asked": float(milliseconds)}


def hold_memory(_: str) -> None:
    print("what a contestant prints is not taken for its answer")
    np.ones(100 << 20, np.uint8)


def fail(_: str) -> None:
    raise OSError("no disk")


def test_contestants_are_measured_in_turn_and_who_cannot_take_part_is_told_of(tmp_path: Path) -> None:
    seen: list[str] = []

    def arguments(contestant: Contestant) -> list[str]:
        seen.append(contestant.name)
        return ["30"]

    outcome = hold(
        "sleeping",
        [
            Contestant("rest", f"{HERE}:rest"),
            Contestant("memory", f"{HERE}:hold_memory"),
            Contestant("fails", f"{HERE}:fail"),
            Contestant("absent", f"{HERE}:rest", tmp_path / "python"),
        ],
        2,
        reference="rest",
        arguments=arguments,
    )
    assert seen == ["rest", "memory", "fails", *["rest", "memory"] * 2]
    rested, held = outcome.measured["rest"], outcome.measured["memory"]
    assert len(rested.wall_s) == len(held.wall_s) == 2
    assert min(rested.wall_s) >= 0.03
    assert rested.told == [{"asked": 30.0}] * 2
    assert outcome.measured["fails"].failure == "OSError: no disk"
    assert outcome.measured["absent"].wall_s == []
    if sys.platform == "linux":
        assert held.median("peak_mib") >= 100

    outcome.write(tmp_path / "kept/sleeping.json")
    kept = json.loads((tmp_path / "kept/sleeping.json").read_text())
    assert kept["contestants"]["rest"]["wall_s"] == rested.wall_s
    assert kept["machine"]["cores"] > 0


def test_a_result_that_is_not_right_ends_the_contest() -> None:
    def check(contestant: Contestant) -> None:
        raise AssertionError(f"{contestant.name} is wrong")

    one = [Contestant("rest", f"{HERE}:rest")]
    with pytest.raises(AssertionError, match="rest is wrong"):
        hold("checked", one, 1, reference="rest", arguments=lambda _: ["1"], check=check)


def test_the_short_form_runs_and_reports() -> None:
    command = [sys.executable, "-m", "benchmarks", "--short", "end_to_end"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent.parent)
    assert done.returncode == 0, done.stderr
    assert "steps of dlp-lab" in done.stdout
    report = (RESULTS / "short/report.md").read_text()
    assert "12 x 512 x 512 CT, DICOM to DICOM" in report
    assert "| dlp-lab |" in report
    assert (RESULTS / "short/ratios.png").read_bytes().startswith(b"\x89PNG")
