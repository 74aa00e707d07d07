"""The notebook of each case, and the page that is made of it."""

from __future__ import annotations

import csv
import gc
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from dlp_lab.cohort import kernel_nursery
from dlp_lab.cohort.reports import Reports
from dlp_lab.jobs.handle import job_service
from dlp_lab.models.registry import add_model
from dlp_lab.store.cohort_folder import CohortFolder
from dlp_lab.store.workspace import Workspace
from tests.cohort.conftest import Runs
from tests.jobs.waiting import child_processes
from tests.models.networks import description, threshold_network, write_package
from tests.patience import PATIENCE_S, wait_until
from tests.phantom import write_phantom_series
from tests.security.patient_data import FOLDER_SENTINEL, fill_with_sentinel, told_of

REPORT = Path(__file__).parents[2] / "notebooks/batch/case-report.ipynb"


class Loaded(HTMLParser):
    """What a browser would load for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("src", "srcset", "data", "poster", "action") or (name == "href" and tag != "a"):
                self.addresses.append(value or "")


def loaded_by(page: str) -> list[str]:
    parser = Loaded()
    parser.feed(page)
    return [address[:40] for address in parser.addresses if not address.startswith("data:image/png;base64,")]


def notebook(path: Path, *cells: str) -> Path:
    code = [nbformat.v4.new_code_cell('case_id = ""', metadata={"tags": ["parameters"]})]
    code += [nbformat.v4.new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": kernel}), path)
    return path


def outputs(path: Path) -> str:
    read: NotebookNode = nbformat.read(path, as_version=4)
    return "".join(output.get("text", "") for cell in read.cells for output in cell.get("outputs", []))


def test_the_report_of_each_case_shows_it_and_tells_nothing_of_the_patient(run: Runs) -> None:
    for number in range(2):
        write_phantom_series(
            run.root / f"ZZDIR{number}/mr", modality="MR", seed=number, edit=lambda _, ds: fill_with_sentinel(ds)
        )
    cohort = run(notebook=REPORT)
    assert cohort.reports == 3 and not cohort.failed
    for record in cohort.records:
        page = (cohort.path / "cases" / record.case_id / "report.html").read_text()
        assert f"<h1>{record.case_id}</h1>" in page
        assert page.count("data:image/png;base64,") == 1
        assert "sigma_mm" in page and "MR Image Storage" in page and "numpy" in page
    for page in cohort.path.rglob("*.html"):
        text = page.read_text()
        assert told_of(text) == [] and FOLDER_SENTINEL not in text and str(run.root) not in text
        assert loaded_by(text) == []
        assert "default-src 'none'" in text
        assert not re.search(r"https?://", re.sub(r'xmlns="[^"]*"', "", text))
    assert FOLDER_SENTINEL not in (cohort.path / "summary.csv").read_text()


def test_the_report_of_a_segmentation_shows_its_structures_and_the_table_measures_them(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    way = {"kind": "windows", "patch": [4, 4, 4]}
    add_model(write_package(tmp_path / "package", threshold_network(-390), description(inference=way)))
    write_phantom_series(run.root / "ct", shape=(7, 9, 8))
    (run.root / "cases.csv").write_text("case,folder\nchest,ct\n")
    told = subprocess.run(  # a process of its own, for that of the jobs has the models of the tests before
        [
            *(sys.executable, "-m", "dlp_lab", "cohort", "run", "cases.csv", "--task", "segment"),
            *("--out", "segmented", "--notebook", REPORT),
        ],
        cwd=run.root,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    page = (run.root / "segmented/cases/chest/report.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert "<th>structure</th>" in page and "model.json SHA-256" in page
    with open(run.root / "segmented/summary.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    (volume_ml,) = (float(value) for name, value in row.items() if name.startswith("measured ") and "(ml)" in name)
    assert volume_ml > 0
    assert "data:image/png" in (run.root / "segmented/summary.html").read_text()


def test_a_report_is_made_again_for_another_notebook_and_not_for_the_same(run: Runs, tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", "print(case_id)")
    assert run(notebook=path).reports == 3
    assert run(notebook=path).reports == 0
    cohort = run(notebook=notebook(tmp_path / "a.ipynb", "print(case_id, uid)"))
    assert (cohort.jobs, cohort.reports) == (0, 3)
    record = cohort.records[2]
    assert outputs(cohort.path / "cases/case-0003/report.ipynb") == f"case-0003 {record.job}\n"


def test_no_notebook_sees_what_another_did(run: Runs, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "a.ipynb",
        "import os, dlp_lab\nprint(os.getpid(), 'before' in globals(), hasattr(dlp_lab, 'before'), os.getcwd())",
        "before = dlp_lab.before = True\nos.chdir('/')",
    )
    cohort = run(notebook=path)
    lines = [outputs(cohort.path / "cases" / one.case_id / "report.ipynb").split() for one in cohort.records]
    assert len({line[0] for line in lines}) == 3
    assert [line[1:] for line in lines] == [["False", "False", str(run.root.resolve())]] * 3


def test_a_notebook_that_fails_leaves_its_traceback_and_a_page_with_the_sentence(run: Runs, tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", "1 / (case_id != 'case-0002')")
    cohort = run(notebook=path)
    assert [record.state for record in cohort.records] == ["succeeded"] * 3
    (failed,) = cohort.failed
    assert failed.report_error == "In [3] of report.ipynb: ZeroDivisionError: division by zero"
    folder = cohort.path / "cases/case-0002"
    assert "division by zero" in (folder / "failure.html").read_text()
    assert "division by zero" in (folder / "report.ipynb").read_text()
    assert not (folder / "report.html").exists()
    assert run(notebook=path).reports == 0
    assert run(notebook=path, retry_failed=True).reports == 1


@pytest.mark.parametrize("end", ["import os; os._exit(1)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_kernel_that_dies_is_the_failure_of_its_case_alone(run: Runs, tmp_path: Path, end: str) -> None:
    cohort = run(notebook=notebook(tmp_path / "a.ipynb", f"if case_id == 'case-0001':\n    {end}", "print(1)"))
    assert [bool(record.report_error) for record in cohort.records] == [True, False, False]


def test_a_notebook_that_removes_its_folder_is_the_failure_of_its_case_alone(run: Runs, tmp_path: Path) -> None:
    # once the run has written there what it writes meanwhile, which would make the folder anew
    remove = """
import glob, shutil, time
folder = f"{root}/blurred/cases/{case_id}"
if case_id == "case-0002":
    while not glob.glob(f"{folder}/thumbnail-*.png"):
        time.sleep(0.02)
    shutil.rmtree(folder)
"""
    cohort = run(notebook=notebook(tmp_path / "a.ipynb", remove))
    assert [bool(record.report_error) for record in cohort.records] == [False, True, False]
    assert cohort.records[1].report_error == "the notebook cannot be executed: FileNotFoundError"
    assert (cohort.path / "cases/case-0002/failure.html").exists()


def test_an_output_that_is_none_leaves_a_sentence_and_no_traceback(
    run: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    show = "from IPython.display import display; display({'text/html': 5}, raw=True)"
    cohort = run(notebook=notebook(tmp_path / "a.ipynb", show))
    gc.collect()
    assert {record.report_error for record in cohort.records} == {
        "the notebook cannot be executed: NotebookValidationError"
    }
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_kernel_that_is_not_there_is_named(run: Runs, tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", "1")
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": "absent-kernel", "display_name": "Absent", "language": "python"}
    path.write_text(json.dumps(content))
    cohort = run(notebook=path)
    assert {record.report_error for record in cohort.records} == {
        "the notebook cannot be executed: No such kernel named absent-kernel"
    }


def test_a_notebook_that_names_a_kernel_of_its_own_gets_that_one(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "jupyter/kernels/other"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Other", "language": "python", "env": {"KERNEL_OF": "other"}})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = notebook(tmp_path / "a.ipynb", "import os\nprint(os.environ.get('KERNEL_OF'))")
    content = nbformat.read(path, as_version=4)
    content.metadata.kernelspec.name = "other"
    nbformat.write(content, path)
    (run.root / "cases.csv").write_text("case,folder\na,ZZDIR0/mr\n")
    cohort = run(run.root / "cases.csv", notebook=path)
    assert outputs(cohort.path / "cases/a/report.ipynb") == "other\n"


def test_no_kernel_is_left_at_the_end(run: Runs, tmp_path: Path) -> None:
    before = child_processes()
    cohort = run(notebook=notebook(tmp_path / "a.ipynb", "import os\nprint(os.getpid(), os.getppid())"))
    told = [outputs(cohort.path / f"cases/{one.case_id}/report.ipynb") for one in cohort.records]
    pids = [int(pid) for pid in " ".join(told).split()]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert len(child_processes() - before) <= 3  # those of the queue, which stays


@pytest.mark.parametrize("asked", [b"", b'{"connection_file": "%s/kernel", "folder": "/"}\n'])
def test_the_process_of_kernels_ends_in_silence_when_who_asked_for_them_was_killed(
    tmp_path: Path, asked: bytes
) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    command = [sys.executable, "-m", "dlp_lab.cohort.kernel_nursery", sockets]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write(asked.replace(b"%s", bytes(sockets)))
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert not sockets.exists()


def test_what_is_preloaded_for_kernels_is_there_and_starts_no_thread() -> None:
    script = (
        f"import os, sys, {kernel_nursery.__name__} as nursery; nursery.preload();"
        "print(len(os.listdir('/proc/self/task')), {'ipykernel.kernelapp', 'matplotlib.pyplot'} <= set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("1 True\n", "")


def test_a_notebook_that_takes_longer_than_it_may_is_stopped(run: Runs, tmp_path: Path) -> None:
    (run.root / "cases.csv").write_text("case,folder\na,ZZDIR0/mr\n")
    (record,) = run(run.root / "cases.csv").records
    workspace = Workspace(run.root)
    assert record.job is not None
    job = job_service(workspace).get(record.job)
    path = notebook(tmp_path / "a.ipynb", "import time; time.sleep(600)")
    reports = Reports(workspace, CohortFolder.of(workspace, run.out), path, slots=1, seconds=1)
    assert reports.start("a", job).result(timeout=PATIENCE_S).error == "the notebook was stopped: CellTimeoutError"
    reports.close()
