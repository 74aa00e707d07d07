"""Runs, refusals and what is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab.cli import main
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace
from tests.cli.program import cli
from tests.patience import ENDLESS_S, PATIENCE_S, wait_until
from tests.phantom import write_phantom_series


def test_run_writes_a_derived_series_and_prints_its_folder(root):
    done = cli("run", "3dblur", "case", "--sigma-mm", "1,2,3", "--mode", "reflect", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "%" not in done.stderr  # nobody looks at a progress bar
    output = Path(done.stdout.strip())
    assert output.parent == root / "dlp-lab-output"
    source, derived = dlp.read_series(root / "case"), dlp.read_series(output)
    expected = ndimage.gaussian_filter(source.voxels.astype(np.float32), [1 / 2.5, 2 / 0.8, 3 / 0.5], mode="reflect")
    assert np.abs(derived.voxels - expected).max() <= 0.5 + 1e-4
    record = json.loads((output / "job.json").read_text())
    assert record["request"]["params"] == {"sigma_mm": [1, 2, 3], "truncate": 4.0, "mode": "reflect", "cval": 0.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "3dblur", "case", "--output-form", "pdf"], "invalid choice: 'pdf'"),
        (["run", "3dblur", "case", "--sigma-mm", "-1"], "sigma_mm"),
        (["run", "3dblur", "absent"], "does not exist"),
        (["run", "3dblur", "empty"], "no DICOM image"),
        (["run", "3dblur", ".."], "not inside the root"),
        (["run", "3dblur", "case", "--mode", "null"], "mode"),
        (["run", "3dblur", "b\udcff"], "not valid UTF-8"),
        (["run", "3dblur", "case", "--select", "Echo=1"], "no DICOM keyword"),
        (["series", "absent"], "not a folder"),
        (["dicom-to-hdf5", "-i", "case", "-h", "a.h5", "-j", "a.h5"], "two names"),
        (["hdf5-to-dicom", "-h", "absent.h5", "-d", "case", "-o", "out"], "does not exist"),
        (["dicom-to-hdf5", "-i", "absent", "-h", "a.h5", "-j", "a.json"], "not a folder"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_status_2(root, arguments, said):
    (root / "empty").mkdir()
    (root / os.fsdecode(b"b\xff")).mkdir()
    done = cli(*arguments, cwd=root)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["dicom-to-hdf5", "-i", "case", "-h", "case/00000/a.h5", "-j", "a.json"],
        ["dicom-to-hdf5", "-i", "case", "-h", f"{'x' * 300}.h5", "-j", "a.json"],
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(root, arguments):
    done = cli(*arguments, cwd=root)
    assert done.returncode == 1
    assert done.stderr.startswith("dlp-lab: ")
    assert "Traceback" not in done.stderr
    assert not (root / "a.json").exists()


def test_a_reader_that_stops_reading_is_no_error(root):
    script = "import sys; from dlp_lab.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "tasks"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait(PATIENCE_S)


def test_two_runs_on_the_root_itself_do_not_read_each_others_results(root):
    for _ in range(2):
        done = cli("run", "3dblur", ".", cwd=root)
        assert done.returncode == 0, done.stderr


def test_series_are_listed_with_verdicts_and_as_json_with_every_file(root):
    write_phantom_series(root / "gappy", seed=1).files[3].unlink()
    done = cli("series", ".", cwd=root)
    assert "usable: 7 x 5 x 6, 2.5 x 0.8 x 0.5 mm" in done.stdout
    assert "MISSING_SLICES: 6 files" in done.stdout
    report = json.loads(cli("series", ".", "--json", cwd=root).stdout)
    assert len(report["files"]) == 13
    assert "usable: 7 x" in cli("series", "gappy", "--gaps", "pad", cwd=root).stdout


def test_a_repair_asked_for_is_in_the_record(root):
    write_phantom_series(root / "gappy", seed=1).files[3].unlink()
    done = cli("run", "3dblur", "gappy", "--gaps", "pad", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "missing slices were padded" in done.stderr
    record = json.loads((Path(done.stdout.strip()) / "job.json").read_text())
    assert record["request"]["read"]["gaps"] == "pad"
    assert record["ingestion"]["series"][0]["verdict"] == "usable"
    assert len(record["ingestion"]["files"]) == 6


def test_the_help_of_a_task_shows_its_parameters_with_unit_and_default(root):
    done = cli("run", "3dblur", "--help", cwd=root)
    assert "--sigma-mm MM" in done.stdout
    assert "default: 1.0" in done.stdout
    assert "--mode {" in done.stdout


def test_tasks_are_listed_with_their_schema(root):
    assert "3dblur: 3-D Gaussian blur" in cli("tasks", cwd=root).stdout
    assert json.loads(cli("tasks", "--json", cwd=root).stdout)["3dblur"]["type"] == "object"


def test_a_task_of_an_installed_package_runs_like_any_other(root, probe_package):
    done = cli("run", "probe", "case", "--label", "from the command line", cwd=root, packages=[probe_package])
    assert done.returncode == 0, done.stderr
    assert "probe: Probe" in cli("tasks", cwd=root, packages=[probe_package]).stdout
    assert "--act {" in cli("run", "probe", "--help", cwd=root, packages=[probe_package]).stdout


def test_the_version_is_told_without_loading_numpy(root):
    script = "import sys; import dlp_lab.cli; dlp_lab.cli._parser([]); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
    assert cli("--version", cwd=root).stdout.strip() == f"dlp-lab {dlp.__version__}"


def test_an_interrupted_run_cancels_its_job_and_leaves_no_output(root, probe_package):
    # A suite started in the background inherits an ignored SIGINT; a user's terminal does not ignore it.
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from dlp_lab.cli import main; sys.exit(main())"
    )
    parameters = ["--journal", root / "journal", "--seconds", str(ENDLESS_S)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, "run", "probe", "case", *parameters],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((root / "journal").exists)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, told
    (job,) = JobStore(Workspace(root).queue_database).newest(9)
    assert job.state == "cancelled"
    assert [path.name for path in (root / "dlp-lab-output").iterdir()] == [".dlp-lab"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel", "\udcff"],
        ["log", "\udcff"],
        ["jobs", "--group", "\udcff"],
        ["run", "3dblur", "case", "--series", "\udcff"],
        ["run", "3dblur", "case\0"],
    ],
)
def test_an_argument_that_is_no_text_is_refused_in_a_sentence(root, arguments, capsys, monkeypatch):
    monkeypatch.chdir(root)
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_the_terminal_has_no_letters_for_is_printed_as_an_escape(root, encoding):
    (root / "case").rename(root / "Bäume Ω")
    script = "import sys; from dlp_lab.cli import main; sys.exit(main(sys.argv[1:]))"
    for arguments in (["run", "3dblur", "Bäume Ω"], ["jobs"], ["series", "Bäume Ω", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=root,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
