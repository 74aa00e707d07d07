"""The measurements beside peers: that they tell the truth about what ran, and that they run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.__main__ import DOCUMENT
from benchmarks.contest import RESULTS, Contestant, hold
from benchmarks.document import NotOfOneRun, marks, write_into
from benchmarks.growth.curve import FLAT, LINEAR, Curve, Law
from benchmarks.job_profile import REST, JobProfile
from benchmarks.machine import machine
from benchmarks.report import Ran, Run, write_report
from benchmarks.rounds import in_turn
from benchmarks.tables import Table

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
    assert "Steps of dlp-lab" in done.stdout
    report = (RESULTS / "short/report.md").read_text()
    assert "12 x 512 x 512 CT, DICOM to DICOM" in report
    assert "| dlp-lab |" in report
    assert (RESULTS / "short/ratios.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    table = Table("times", ("", "wall, ms", "x"), [["a | b", 1234.5678, 1.0], ["gone", None, 0.012345]], "a note")
    table.write(tmp_path / "times.json")
    assert Table.read(tmp_path / "times.json").markdown() == table.markdown()
    assert table.markdown().splitlines() == [
        "**times**",
        "",
        "|  | wall, ms | x |",
        "|---|---|---|",
        "| a \\| b | 1 235 | 1.00 |",
        "| gone |  | 0.0123 |",
        "",
        "a note",
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 2 columns and a row of 1"):
        Table("times", ("", "ms"), [["alone"]])


def test_functions_take_turns_after_one_round_that_does_not_count() -> None:
    seen: list[str] = []
    times = in_turn({name: partial(seen.append, name) for name in "ab"}, 2, before=partial(seen.append, "before"))
    assert seen == ["a", "b", *["before", "a", "before", "b"] * 2]
    assert len(times["a"].wall_s) == len(times["b"].cpu_s) == 2


@pytest.mark.parametrize(
    ("cost", "law", "verdict"),
    [
        (lambda n: 7.0, FLAT, "holds"),
        (lambda n: 5.0 + 0.25 * n, LINEAR, "holds"),
        (lambda n: n**0.5, FLAT, "GROWS FASTER"),
        (lambda n: n**2, LINEAR, "GROWS FASTER"),
        (lambda n: 1 / n, FLAT, "grows slower"),
        (lambda n: 2.0 if n == 10 else 1.0, FLAT, "BENDS"),
    ],
)
def test_a_curve_is_judged_by_its_law(cost: Callable[[float], float], law: Law, verdict: str) -> None:
    curve = Curve("one", [(n, cost(n)) for n in (1.0, 3.0, 10.0, 30.0, 100.0)], law)
    assert curve.verdict == verdict


def test_a_law_goes_through_points_that_follow_it() -> None:
    curve = Curve("one", [(n, 5.0 + 0.25 * n) for n in (1.0, 10.0, 100.0)], LINEAR)
    np.testing.assert_allclose(curve.lawful([1.0, 50.0]), [5.25, 17.5])
    assert curve.exponent == pytest.approx(curve.lawful_exponent)


def a_run(results: Path, *, is_short: bool = False) -> Run:
    Table("times", ("", "ms"), [["a", 2.5]]).write(results / "one.json")
    run = Run(
        machine(), is_short, time.time() - 60, [Ran("one", 1.5, 0, ["one"]), Ran("talks", 0.1, 3, [], "what it said")]
    )
    run.write(results)
    return run


def test_a_report_has_all_tables_and_what_those_print_that_keep_none(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert Run.read(tmp_path) == run
    (tmp_path / "curves.png").write_bytes(b"drawn")
    (tmp_path / "older.png").write_bytes(b"drawn")
    os.utime(tmp_path / "older.png", (0, 0))
    report = write_report(run, tmp_path).read_text()
    assert "older" not in report
    for part in ("| a | 2.50 |", "| talks | 0.100 | 0 | status 3 |", "what it said", "![curves.png]", "cores of"):
        assert part in report


def test_a_document_gets_the_tables_and_pictures_of_the_last_run(tmp_path: Path) -> None:
    a_run(tmp_path)
    (tmp_path / "it.png").write_bytes(b"drawn")
    (tmp_path / "images").mkdir()
    document = tmp_path / "document.md"
    where, what = "<!-- bench: machine -->\n<!-- /bench -->", "<!-- bench: one -->\nold\n<!-- /bench -->"
    document.write_text(f"before\n{where}\nbetween\n{what}\nafter ![it](images/it.png)\n")
    write_into(document, tmp_path)
    once = document.read_text()
    assert "| a | 2.50 |" in once
    assert "Measured 2" in once
    assert "old" not in once
    assert all(word in once for word in ("before\n", "between\n", "after "))
    assert (tmp_path / "images/it.png").read_bytes() == b"drawn"
    write_into(document, tmp_path)
    assert document.read_text() == once


def test_a_document_is_not_filled_from_a_short_run_or_from_one_that_lacks_a_table(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("<!-- bench: one -->\n<!-- /bench -->\n<!-- bench: two -->\n<!-- /bench -->\n")
    a_run(tmp_path)
    with pytest.raises(NotOfOneRun, match="made no two"):
        write_into(document, tmp_path)
    a_run(tmp_path, is_short=True)
    with pytest.raises(NotOfOneRun, match="short"):
        write_into(document, tmp_path)


def test_every_mark_of_the_page_on_performance_is_that_of_a_table_that_a_benchmark_keeps() -> None:
    page = DOCUMENT.read_text()
    found = marks(page)
    assert len(found) == page.count("<!-- bench:") == page.count("<!-- /bench -->") > 5
    sources = [module.read_text() for module in (DOCUMENT.parent.parent / "benchmarks").glob("*.py")]
    kept = {name for source in sources for name in re.findall(r'"([\w{}]+)\.json"', source)}
    patterns = [re.sub(r"{\w+}", r"[a-z]+", name) for name in kept if not name.startswith("{")]
    for name in found:
        assert name == "machine" or any(re.fullmatch(pattern, name) for pattern in patterns), name


def test_curves_are_measured_and_drawn() -> None:
    command = [sys.executable, "-m", "benchmarks.curves", "--short", "volume", "sigma"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent.parent)
    assert done.returncode == 0, done.stderr
    assert "sigma, mm: scipy" in done.stdout
    assert (RESULTS / "short/curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_step_has_its_own_time_without_that_of_the_steps_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    clocks = SimpleNamespace(perf_counter=lambda: now, process_time=lambda: now / 2)
    monkeypatch.setattr("benchmarks.job_profile.time", clocks)
    profile = JobProfile()
    with profile.step(REST), profile.step("writing"):
        now += 2
        with profile.step("reading"):
            now += 3
    steps = ("reading", "writing", REST)
    assert [profile.wall_s[step] for step in steps] == [3, 2, 0]
    assert [profile.cpu_s[step] for step in steps] == [1.5, 1, 0]
