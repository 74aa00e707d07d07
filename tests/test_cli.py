"""The command line, run as its user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab.cli import main
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import wait_until
from tests.phantom import write_phantom_series

REPOSITORY = Path(__file__).parent.parent


def cli(
    *arguments: str | Path, cwd: Path, program: str = "main", packages: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program.

    Args:
        arguments: Its arguments.
        cwd: Its folder.
        program: Function of `dlp_lab.cli`.
        packages: Folders of packages to be installed besides; those that other tests installed are not.
    """
    script = f"import sys; from dlp_lab.cli import {program}; sys.exit({program}())"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [REPOSITORY, *packages]))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def root(tmp_path) -> Path:
    write_phantom_series(tmp_path / "case")
    return tmp_path


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


@pytest.mark.parametrize("form", ["multiframe", "parametric_map"])
def test_the_result_is_one_file_when_asked_for_by_a_job_and_from_hdf5(root, form):
    done = cli("run", "3dblur", "case", "--output-form", form, "--keep-hdf5", cwd=root)
    assert done.returncode == 0, done.stderr
    output = Path(done.stdout.strip())
    assert [path.name for path in output.glob("*.dcm")] == ["0001.dcm"]
    checked = cli("check", "case", output, cwd=root)
    assert checked.returncode == 0, checked.stdout
    back = cli("hdf5-to-dicom", "-h", output / "result.h5", "-o", "out", "--output-form", form, cwd=root)
    assert back.returncode == 0, back.stderr
    assert "out: 7 slices" in back.stdout
    first, again = (pydicom.dcmread(folder / "0001.dcm") for folder in (output, root / "out"))
    np.testing.assert_array_equal(first.pixel_array, again.pixel_array)
    assert cli("check", "case", "out", cwd=root).returncode == 0


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
    process.wait(30)


def test_a_queue_that_cannot_be_worked_with_is_one_sentence(root):
    (root / "dlp-lab-output" / ".dlp-lab" / "jobs.sqlite").mkdir(parents=True)
    done = cli("run", "3dblur", "case", cwd=root)
    assert done.returncode == 2
    assert "\ndlp-lab: the queue's file jobs.sqlite in the output folder cannot be opened" in f"\n{done.stderr}"
    assert "Traceback" not in done.stderr


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


@pytest.mark.parametrize("as_scripts", [True, False], ids=["scripts", "subcommands"])
@pytest.mark.parametrize("long", [True, False], ids=["long flags", "short flags"])
def test_dicom_goes_to_hdf5_and_back(root, as_scripts, long):
    flags = ["--input-dicom", "--output-hdf5", "--output-json"] if long else ["-i", "-h", "-j"]
    to = zip(flags, ["case", "v.h5", "v.json"], strict=True)
    flags = ["--input-hdf5", "--input-dicom", "--output-dicom"] if long else ["-h", "-d", "-o"]
    back = zip(flags, ["v.h5", "case", "out"], strict=True)
    for subcommand, program, pairs in (("dicom-to-hdf5", "dicom_to_hd5", to), ("hdf5-to-dicom", "hd5_to_dicom", back)):
        arguments = [word for pair in pairs for word in pair]
        done = cli(*arguments, cwd=root, program=program) if as_scripts else cli(subcommand, *arguments, cwd=root)
        assert done.returncode == 0, done.stderr
    metadata = json.loads((root / "v.json").read_text())
    assert metadata["modality"] == "CT"
    assert metadata["spacing"] == pytest.approx([2.5, 0.8, 0.5])
    assert metadata["spacing_slices"] == pytest.approx(2.5)
    assert metadata["spacing_pixel"] == pytest.approx([0.8, 0.5])
    source, again = dlp.read_series(root / "case"), dlp.read_series(root / "out")
    np.testing.assert_array_equal(again.voxels, source.voxels)
    assert again.geometry.matches(source.geometry)
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in ("v.h5", "v.json")} == {0o600}


def test_an_hdf5_file_with_its_headers_needs_no_template(root):
    assert cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", cwd=root).returncode == 0
    done = cli("-h", "v.h5", "-o", "out", cwd=root, program="hd5_to_dicom")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)
    assert "Phantom^" not in (root / "v.json").read_text()


def test_a_compressed_hdf5_file_becomes_the_same_series(root):
    flags = ["-i", "case", "-h", "v.h5", "-j", "v.json", "--compress", "gzip"]
    assert cli("dicom-to-hdf5", *flags, cwd=root).returncode == 0
    with h5py.File(root / "v.h5") as file:
        assert file["entry/volume/image"].compression == "gzip"
    assert cli("hdf5-to-dicom", "-h", "v.h5", "-o", "out", cwd=root).returncode == 0
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)


def test_without_headers_and_template_the_refusal_names_the_flags(root):
    flags = ["--headers", "none", "--keep-phi"]
    assert cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", *flags, cwd=root).returncode == 0
    done = cli("hdf5-to-dicom", "-h", "v.h5", "-o", "out", cwd=root)
    assert done.returncode == 2
    assert "(-d)" in done.stderr
    assert "(--headers full)" in done.stderr
    assert "Phantom^" in (root / "v.json").read_text()


@pytest.mark.parametrize("program", ["dicom_to_hd5", "hd5_to_dicom"])
def test_help_is_the_long_flag_alone(root, program):
    done = cli("--help", cwd=root, program=program)
    assert done.returncode == 0
    assert "-h FILE" in done.stdout


def test_minmax_is_stored_as_0_to_1_and_undone_on_the_way_back(root):
    cli("dicom-to-hdf5", "-i", "case", "-h", "v.h5", "-j", "v.json", "--normalize", "minmax", cwd=root)
    with h5py.File(root / "v.h5") as file:
        stored = file["entry/volume/image"][()]
    assert (stored.dtype, stored.min(), stored.max()) == (np.float32, 0, 1)
    assert cli("hdf5-to-dicom", "-h", "v.h5", "-d", "case", "-o", "out", cwd=root).returncode == 0
    np.testing.assert_array_equal(dlp.read_series(root / "out").voxels, dlp.read_series(root / "case").voxels)


def test_a_queue_is_filled_looked_at_and_emptied_without_a_server(root, probe_package):
    packages = [probe_package]
    submitted = cli("submit", "3dblur", "case", "--sigma-mm", "2", "--priority", "-3", cwd=root)
    assert submitted.returncode == 0, submitted.stderr
    assert "no server works on this queue" in submitted.stderr
    low = submitted.stdout.strip()
    high = cli("submit", "probe", "case", "--act", "bug", cwd=root, packages=packages).stdout.strip()
    listed = json.loads(cli("jobs", "--state", "queued", "--json", cwd=root).stdout)["jobs"]
    assert {job["uid"]: job["position"] for job in listed} == {high: 1, low: 2}
    assert f"{low}  " in cli("jobs", cwd=root).stdout
    for filters, uid in (
        (("--task", "probe", "--about", "CAS", "--after", "2020-01-01"), high),
        (("--task", "3dblur", "--before", "2999-01-01T00:00:00Z"), low),
    ):
        assert [line.split()[0] for line in cli("jobs", *filters, cwd=root).stdout.splitlines()] == [uid]
    assert cli("jobs", "--after", "soon", cwd=root).returncode == 2

    assert cli("cancel", low, cwd=root).stdout == "cancelled before it started\n"
    refused = cli("cancel", low, cwd=root)
    assert (refused.returncode, refused.stderr) == (1, "dlp-lab: the job has already been cancelled\n")
    ran = cli("run", "3dblur", "case", "--priority", "-100", cwd=root, packages=packages)
    assert ran.returncode == 0, ran.stderr  # meanwhile it did what was waiting
    assert "ValueError" in cli("log", "-f", high, cwd=root).stdout
    assert re.search(rf"{high} .*  failed .*\d\.\d s  probe  case\n", cli("jobs", cwd=root).stdout)
    retried = cli("retry", high, cwd=root)
    assert retried.stdout == "waiting\n"
    assert "no server works on this queue" in retried.stderr
    assert cli("retry", high, cwd=root).returncode == 1

    result = Path(ran.stdout.strip())
    assert cli("jobs", "prune", "--older-than", "1d", cwd=root).stdout == ""
    would = cli("jobs", "prune", "--older-than", "0m", "--results", "--dry-run", cwd=root)
    assert result.is_dir()
    pruned = cli("jobs", "prune", "--older-than", "0m", "--results", cwd=root)
    assert would.stdout == pruned.stdout != ""
    assert "2 jobs and results removed" in pruned.stderr
    assert not result.exists()
    assert [job["uid"] for job in json.loads(cli("jobs", "--json", cwd=root).stdout)["jobs"]] == [high]


def test_prune_removes_nothing_but_what_was_named(root):
    other = root / "other"
    write_phantom_series(other / "case")
    named, here = (
        cli("submit", "3dblur", folder / "case", "--root", folder, cwd=folder).stdout.strip()
        for folder in (other, root)
    )
    for uid, folder in ((named, other), (here, root)):
        assert cli("cancel", uid, "--root", folder, cwd=root).returncode == 0
    # the root before the word, from a folder that is a root too
    assert cli("jobs", "--root", other, "prune", "--older-than", "0m", cwd=root).stdout.startswith(named)
    refused = cli("jobs", "--state", "failed", "prune", "--older-than", "0m", cwd=root)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    left = {job["uid"] for job in json.loads(cli("jobs", "--json", cwd=root).stdout)["jobs"]}
    assert here in left and named not in left


def test_the_listing_says_nothing_to_the_terminal_but_text(root):
    workspace = Workspace(root)
    workspace.create()
    JobStore(workspace.queue_database).add(JobRequest(task="3dblur", input_dir="a\x1b[2Jb\nc"))
    line, *more = cli("jobs", cwd=root).stdout.splitlines()
    assert line.endswith("  a\\x1b[2Jb\\nc")
    assert not more


@pytest.mark.parametrize(
    "arguments",
    [
        ("--limit", "0"),
        ("--limit", "9" * 30),
        ("prune", "--older-than", "99999999d"),
        ("prune", "--older-than", "9" * 30 + "w"),
        ("prune", "--older-than", "9" * 5000 + "w"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(root, arguments):
    assert cli("submit", "3dblur", "case", cwd=root).returncode == 0
    refused = cli("jobs", *arguments, cwd=root)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jobs",), "there is no queue"),
        (("log", "x"), "there is no queue"),
        (("submit", "3dblur", "case", "--priority", "101"), "priority"),
        (("submit", "3dblur", "nowhere"), "does not exist"),
    ],
)
def test_what_the_queue_cannot_do_is_one_sentence(root, arguments, said):
    refused = cli(*arguments, cwd=root)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_an_interrupted_run_cancels_its_job_and_leaves_no_output(root):
    import signal

    write_phantom_series(root / "large", modality="MR", shape=(60, 256, 256), spacing_kji_mm=(0.5, 0.1, 0.1))
    # A suite started in the background inherits an ignored SIGINT; a user's terminal does not ignore it.
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from dlp_lab.cli import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "run", "3dblur", "large", "--sigma-mm", "50"],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
    )
    queue = Workspace(root).queue_database
    wait_until(lambda: queue.exists() and any(job.message.startswith("smooth") for job in JobStore(queue).newest(1)))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
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
