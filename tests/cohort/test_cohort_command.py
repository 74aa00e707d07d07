"""`dlp-lab cohort run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlp_lab.cli import main
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_phantom_series(root / "gap", shape=(9, 5, 6)).files[4].unlink()
    monkeypatch.chdir(root)


def cohort(*options: str) -> int:
    return main(["cohort", "run", ".", "--task", "3dblur", "--out", "blurred", *options])


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(root.rglob("*"))
    assert cohort("--dry-run", "--params", "sigma_mm=2") == 0
    told = capsys.readouterr()
    assert [line.split()[:2] for line in told.out.splitlines() if line.startswith("case-")] == [
        ["case-0001", "run"],
        ["case-0002", "run"],
        ["case-0003", "run"],
        ["case-0004", "refused"],
    ]
    assert "slices are missing" in told.out
    assert told.err == "would run 3, make 0 reports alone, leave 0 as before; 1 would be refused\n"
    assert sorted(root.rglob("*")) == before


def test_the_path_of_the_summary_is_printed_and_the_status_says_that_a_case_failed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cohort() == 1
    told = capsys.readouterr()
    assert told.out == f"{root.resolve()}/blurred/summary.html\n"
    assert told.err.splitlines()[-1] == "4 cases: 4 executed, 0 reports made; 1 failed, 3 succeeded"
    assert "case-0004: MISSING_SLICES: slices are missing" in told.err
    assert cohort("--gaps", "pad") == 0
    assert cohort("--gaps", "pad", "--dry-run") == 0
    assert capsys.readouterr().err.endswith(
        "would run 0, make 0 reports alone, leave 4 as before; 0 would be refused\n"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--params", "sigma_mm"], "NAME=VALUE"),
        (["--params", "sgima=2"], "sgima"),
        (["--notebook", "absent.ipynb"], "cannot be read"),
        (["--params", f"sigma_mm={'[' * 100_000}"], "sigma_mm"),
        (["--notebook", "."], "cannot be read"),
        (["--notebook", "gap/00000"], "is no Jupyter notebook"),
        (["--notebook", "empty.ipynb"], "is no Jupyter notebook"),
        (["--notebook", "of-another-kind.json"], "is no Jupyter notebook"),
        (["--notebook", "without-cells.json"], "is no Jupyter notebook"),
        (["--in-flight", "0"], "at least 1"),
        (["--report-slots", "-1"], "at least 1"),
        (["--report-slots", "0"], "at least 1"),
        (["--out", "ZZDIR0"], "not empty and no folder of a cohort"),
        (["--out", ".."], "not inside the root"),
        (["--task", "none"], "no task named 'none'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_run(
    root: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    (root / "empty.ipynb").touch()
    (root / "of-another-kind.json").write_text("[[1]]")
    (root / "without-cells.json").write_text('{"nbformat": 4, "nbformat_minor": 5}')
    assert cohort(*options) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (root / "blurred").exists()


def test_the_jobs_of_a_cohort_are_listed_as_a_group(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort()
    capsys.readouterr()
    assert main(["jobs", "--group", "blurred"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    service = JobService(Workspace(root), dispatch=False)
    assert {job.group for job in service.newest().jobs} == {"blurred"}
    service.close()
