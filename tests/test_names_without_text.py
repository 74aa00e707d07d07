"""Names of files and folders that are no UTF-8: a job works on them, or is refused in a sentence, at every door."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import dlp_lab as dlp
from dlp_lab.cli import main
from dlp_lab.jobs.series_catalog import SeriesCatalog
from dlp_lab.store.workspace import Workspace
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series


def strange(name: str) -> str:
    """The name in Latin-1, as old programs write it: as text it has a character that stands for a byte."""
    return os.fsdecode(name.encode("latin-1"))


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A series whose files all have such names, with a copy of one and a file that is no slice."""
    monkeypatch.chdir(tmp_path)
    case = tmp_path / "case"
    for path in write_phantom_series(case).files:
        path.rename(case / strange(f"Schädel {path.name}"))
    shutil.copy(case / strange("Schädel 00003"), case / strange("Ü"))
    (case / strange("für Änne.txt")).write_text("not DICOM")
    return tmp_path


@pytest.mark.parametrize("form", ["series", "multiframe", "parametric_map"])
def test_a_job_on_files_with_such_names_succeeds_and_its_record_says_which_bytes_they_are(root, capsys, form):
    assert main(["run", "3dblur", "case", "--keep-hdf5", "--output-form", form]) == 0
    told = capsys.readouterr()
    assert "(f\\udcfcr \\udcc4nne.txt)" in told.err
    record = json.loads((Path(told.out.strip()) / "job.json").read_bytes())
    names = [file["file"] for file in record["ingestion"]["files"]]
    assert [name for name in names if name.startswith("Sch\\udce4del 0")] == names[:7]
    assert names[7:] == ["\\udcdc", "f\\udcfcr \\udcc4nne.txt"]
    assert main(["jobs", "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert (job["state"], len(job["warnings"])) == ("succeeded", 2)


def test_a_multi_frame_file_with_such_a_name_is_read_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written = write_enhanced_phantom(tmp_path / "case" / "a.dcm").file
    written.rename(written.with_name(strange("Schädel")))
    assert main(["run", "3dblur", "case", "--keep-hdf5"]) == 0
    assert Path(capsys.readouterr().out.strip(), "result.h5").is_file()


def test_listings_for_notebooks_and_clients_tell_such_names_in_utf_8(root):
    broken = next(path for path in (root / "case").iterdir() if "del 0" in path.name)
    os.truncate(broken, 400)
    report = dlp.list_series("case")
    assert "\\udce4" in " ".join(file.file for file in report.files).encode().decode()
    workspace = Workspace(root)
    (refused,) = SeriesCatalog(workspace).series("case").refused
    assert refused.file == broken.name.encode(errors="backslashreplace").decode()
    assert "\\udce4" in refused.reason


def test_a_folder_inside_the_root_with_such_a_name_is_refused_and_a_root_with_one_is_none_the_worse(root, capsys):
    inside = root / strange("für alle")
    shutil.copytree(root / "case", inside / "case")
    assert main(["run", "3dblur", os.fspath(inside / "case")]) == 2
    assert "the name is not valid UTF-8, so it cannot be recorded" in capsys.readouterr().err
    assert main(["run", "3dblur", os.fspath(inside / "case"), "--root", os.fspath(inside)]) == 0
    assert len(list((inside / "dlp-lab-output").glob("*/job.json"))) == 1
