"""A cohort: what is run, what is not run again, and what becomes of failures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from html import escape
from pathlib import Path

import pydicom
import pytest

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.errors import CohortBusy, PathRefused
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.service import JobService
from dlp_lab.store.cohort_folder import CohortFolder
from dlp_lab.store.workspace import Workspace
from tests.cohort.conftest import Runs
from tests.patience import PATIENCE_S, wait_until
from tests.phantom import write_phantom_series, write_undecodable_series


def states(records: tuple[CaseRecord, ...]) -> list[str]:
    return [record.state for record in records]


def started(journal: Path) -> list[str]:
    """Labels of the probes that were started, in order."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [line.removeprefix("start ") for line in lines if line.startswith("start ")]


def table(root: Path, *lines: str) -> Path:
    path = root / "cases.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_series_becomes_a_job_and_a_second_run_executes_nothing(run: Runs) -> None:
    first = run(params={"sigma_mm": 1})
    assert (first.jobs, states(first.records)) == (3, ["succeeded"] * 3)
    workspace = Workspace(run.root)
    for record in first.records:
        assert record.job is not None and (workspace.job_folder(record.job) / "job.json").is_file()
    again = run(params={"sigma_mm": 1})
    assert again.jobs == 0
    assert again.records == first.records
    assert str(again) == "3 cases: 0 executed, 0 reports made; 3 succeeded"


def test_a_case_whose_pixels_changed_is_run_again_and_no_other(run: Runs) -> None:
    first = run()
    path = run.root / "ZZDIR1/mr/00002"
    before = path.stat()
    ds = pydicom.dcmread(path)
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # a copy of a backup has the times of before
    again = run()
    assert again.jobs == 1
    same = [one.job == other.job for one, other in zip(first.records, again.records, strict=True)]
    assert same == [True, False, True]


def test_a_case_that_was_moved_or_touched_has_not_changed(run: Runs) -> None:
    run(table(run.root, "case,folder", "a,ZZDIR0/mr", "b,ZZDIR1/mr"))
    os.utime(run.root / "ZZDIR0/mr/00002")
    (run.root / "ZZDIR1").rename(run.root / "elsewhere")
    assert run(table(run.root, "case,folder", "a,ZZDIR0/mr", "b,elsewhere/mr")).jobs == 0


@pytest.mark.parametrize("change", [{"params": {"sigma_mm": 4}}, {"output_form": "multiframe"}, {"keep_hdf5": True}])
def test_other_parameters_or_another_form_are_another_result(run: Runs, change: dict[str, object]) -> None:
    run()
    assert run(**change).jobs == 3


def test_what_only_orders_the_queue_is_no_change(run: Runs) -> None:
    run()
    assert run(priority=5, in_flight=1).jobs == 0


def test_cases_that_are_the_same_share_a_job_and_each_has_its_line(run: Runs) -> None:
    cases = table(run.root, "case,folder", "a,ZZDIR0/mr", "b,ZZDIR0/mr", "c,ZZDIR1/mr")
    records = run(cases).records
    assert states(records) == ["succeeded"] * 3
    assert records[0].job == records[1].job != records[2].job
    assert run(cases).jobs == 0


def test_a_result_that_was_deleted_is_made_again(run: Runs) -> None:
    first = run()
    assert first.records[1].job is not None
    shutil.rmtree(Workspace(run.root).job_folder(first.records[1].job))
    assert run().jobs == 1
    assert run().jobs == 0


def test_failures_do_not_stop_the_others_and_each_has_a_page_with_its_sentence(run: Runs) -> None:
    write_undecodable_series(run.root / "damaged")
    (run.root / "empty").mkdir()
    write_phantom_series(run.root / "gap", shape=(9, 5, 6)).files[4].unlink()
    cases = table(
        run.root, "case,folder,sigma_mm", "good,ZZDIR0/mr,", "damaged,damaged,", "gap,gap,", "empty,empty,",
        "absent,nowhere,", "wrong,ZZDIR1/mr,-3",
    )  # fmt: skip
    cohort = run(cases)
    assert [record.error_code for record in cohort.records] == [
        *(None, "MALFORMED", "MISSING_SLICES", "NO_DICOM", "PATH_REFUSED", "BAD_PARAMETERS"),
    ]
    for record in cohort.failed:
        page = (cohort.path / "cases" / record.case_id / "failure.html").read_text()
        assert escape(record.message) in page
        assert f"cases/{record.case_id}/failure.html" in cohort.summary.read_text()
    assert not (cohort.path / "cases/good/failure.html").exists()
    assert run(cases).jobs == 0
    assert run(cases, retry_failed=True).jobs == 5


def test_a_failure_that_was_corrected_loses_its_page(run: Runs) -> None:
    phantom = write_phantom_series(run.root / "gap", shape=(9, 5, 6))
    missing = phantom.files[4].rename(run.root / "missing")
    cases = table(run.root, "case,folder", "gap,gap")
    assert states(run(cases).records) == ["failed"]
    missing.rename(phantom.files[4])
    cohort = run(cases)
    assert states(cohort.records) == ["succeeded"]
    assert not (cohort.path / "cases/gap/failure.html").exists()


def test_no_more_jobs_wait_than_asked_for(run: Runs, tmp_path: Path) -> None:
    lines = [f"c{number},ZZDIR{number % 3}/mr,{number}" for number in range(9)]
    most = 0

    service = JobService(Workspace(run.root), dispatch=False)
    submit = JobService.submit

    def counting(self: JobService, *arguments: object) -> object:
        nonlocal most
        job = submit(self, *arguments)  # type: ignore[arg-type]
        counts = service.count_by_state()
        most = max(most, counts["queued"] + counts["running"])
        return job

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobService, "submit", counting)
        cohort = run(table(run.root, "case,folder,label", *lines), "probe", in_flight=3)
    service.close()
    assert states(cohort.records) == ["succeeded"] * 9
    assert 1 <= most <= 3


def test_two_runs_on_one_folder_do_not_meet(run: Runs) -> None:
    cohort = CohortFolder.of(Workspace(run.root), run.out)
    with cohort.held(), pytest.raises(CohortBusy, match="blurred"):
        run()
    assert run().jobs == 3


@pytest.mark.parametrize("out", [".", "dlp-lab-output", "dlp-lab-output/mine", "..", "/tmp/elsewhere"])
def test_a_folder_that_is_no_cohorts_is_refused(run: Runs, out: str) -> None:
    with pytest.raises(PathRefused):
        run(out=run.root / out)


def test_nothing_that_a_user_has_is_replaced(run: Runs) -> None:
    own = run.out / "cases.csv"
    own.parent.mkdir()
    own.write_text("case,folder\nfirst,ZZDIR0/mr\n")
    with pytest.raises(PathRefused, match="not empty and no folder of a cohort"):
        run(own)
    assert [path.name for path in run.out.iterdir()] == ["cases.csv"]
    own.rename(run.out / ".DS_Store")  # as file managers leave behind in a new folder
    assert run().jobs == 3


@pytest.mark.parametrize("planted", [".cohort", "cases", "cases/case-0001"])
def test_a_planted_link_is_not_followed(run: Runs, tmp_path: Path, planted: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run.out / planted).parent.mkdir(parents=True)
    if planted != ".cohort":
        (run.out / ".cohort").mkdir()
    (run.out / planted).symlink_to(elsewhere)
    with pytest.raises(PathRefused, match="is a link"):
        run()
    assert list(elsewhere.iterdir()) == []


RUN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from dlp_lab.cli import main; sys.exit(main(sys.argv[1:]))"
)


def started_run(run: Runs, cases: Path, journal: Path) -> subprocess.Popen[str]:
    """A run in a process of its own, with probes that take a while."""
    parameters = (f"journal={journal}", "seconds=0.4")
    return subprocess.Popen(
        [
            *(sys.executable, "-c", RUN, "cohort", "run", cases, "--task", "probe", "--params", *parameters),
            *("--out", run.out, "--root", run.root),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(journal: Path) -> int:
    """How many probes have ended."""
    return journal.read_text().count("end ") if journal.exists() else 0


def labels(run: Runs, state: str) -> list[str]:
    """Of the jobs that are in a state."""
    store = JobStore(Workspace(run.root).queue_database)
    return [str(job.params["label"]) for job in store.newest(99, JobFilter(states=(state,)))]


def probe_cases(run: Runs, count: int) -> Path:
    return table(run.root, "case,folder,label", *(f"c{n},ZZDIR{n % 3}/mr,p{n}" for n in range(count)))


def test_a_killed_run_is_resumed_and_what_was_done_is_not_done_again(run: Runs, tmp_path: Path) -> None:
    cases, journal = probe_cases(run, 8), tmp_path / "journal"
    killed = started_run(run, cases, journal)
    wait_until(lambda: ended(journal) >= 3)
    killed.kill()
    killed.communicate()
    done, at_work = labels(run, "succeeded"), labels(run, "running")
    assert len(done) >= 1  # as many as had ended, but for those whose end was not recorded yet
    cohort = run(cases, "probe", params={"journal": str(journal), "seconds": 0.4})
    assert states(cohort.records) == ["succeeded"] * 8
    assert cohort.jobs <= 8 - len(done)
    assert [started(journal).count(label) for label in done] == [1] * len(done)
    assert len(started(journal)) <= 8 + len(at_work)  # those are started anew


def test_ctrl_c_cancels_what_has_not_ended_and_the_next_run_goes_on(run: Runs, tmp_path: Path) -> None:
    cases, journal = probe_cases(run, 6), tmp_path / "journal"
    process = started_run(run, cases, journal)
    wait_until(lambda: ended(journal) >= 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, told
    service = JobService(Workspace(run.root), dispatch=False)
    wait_until(lambda: service.count_by_state()["running"] + service.count_by_state()["queued"] == 0)
    service.close()
    done = labels(run, "succeeded")
    assert len(done) >= 1
    with open(run.out / "summary.csv", newline="") as file:
        told_done = [row["state"] for row in csv.DictReader(file)].count("succeeded")
    assert 0 <= len(done) - told_done <= 2  # those that ended while the others were cancelled
    cohort = run(cases, "probe", params={"journal": str(journal), "seconds": 0.4})
    assert states(cohort.records) == ["succeeded"] * 6
    assert [started(journal).count(label) for label in done] == [1] * len(done)


def test_the_record_of_a_case_is_readable_by_its_owner_alone(run: Runs) -> None:
    cohort = run()
    for path in [cohort.path, *cohort.path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert json.loads((cohort.path / "cases/case-0001/case.json").read_text())["state"] == "succeeded"
