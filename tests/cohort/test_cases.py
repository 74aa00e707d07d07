"""Where cases come from: tables and trees of folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedPDFStorage

from dlp_lab.cohort.case import Case
from dlp_lab.cohort.case_search import find_cases
from dlp_lab.cohort.case_table import case_table, read_case_table
from dlp_lab.cohort.inputs import Inputs
from dlp_lab.errors import CaseTableRefused
from dlp_lab.store.cohort_folder import CohortFolder, write_replacing
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.gaussian import Gaussian3D
from tests.phantom import write_phantom_series


@pytest.fixture
def searched(root: Path) -> Workspace:
    """A tree with two series in one folder, one below another, a broken file alone, a document, and no DICOM."""
    write_phantom_series(root / "two", modality="MR", seed=5)
    for path in write_phantom_series(root / "second", modality="CT", seed=6).files:
        path.rename(root / "two" / f"ct-{path.name}")
    (root / "second").rmdir()
    write_phantom_series(root / "two" / "below", modality="PT", seed=7)
    broken = write_phantom_series(root / "broken", shape=(1, 5, 6)).files[0]
    broken.write_bytes(broken.read_bytes()[:200])
    write_phantom_series(root / "document", shape=(1, 5, 6), edit=_is_a_document)
    (root / "notes").mkdir()
    (root / "notes/a.txt").write_text("nothing")
    return Workspace(root)


def _is_a_document(_: int, ds: Dataset) -> None:
    ds.SOPClassUID = EncapsulatedPDFStorage


def found(workspace: Workspace) -> list[Case]:
    (workspace.root / "out/.cohort").mkdir(parents=True, exist_ok=True)
    cohort = CohortFolder.of(workspace, workspace.root / "out")
    return find_cases(workspace, workspace.root, cohort, Inputs(workspace, cohort.inputs))


def test_each_series_of_each_folder_is_a_case_and_a_folder_of_refused_files_too(searched: Workspace) -> None:
    cases = found(searched)
    folders = ["ZZDIR0/mr", "ZZDIR1/mr", "ZZDIR2/mr", "broken", "two", "two", "two/below"]
    assert [case.input_dir for case in cases] == folders
    assert [case.case_id for case in cases] == [f"case-{number:04}" for number in range(1, 8)]
    assert cases[3].series is None
    assert len({case.series for case in cases}) == 7


def test_a_case_keeps_its_name_when_others_come_and_go(searched: Workspace) -> None:
    before = found(searched)
    write_replacing(searched.root / "out/cases.csv", case_table(before[1:]))
    write_phantom_series(searched.root / "AAA", seed=9)
    names = {case.input_dir: case.case_id for case in found(searched)}
    assert names["ZZDIR1/mr"] == "case-0002"
    assert names["AAA"] == "case-0008"


def test_the_table_of_a_search_is_read_back_as_it_was(searched: Workspace) -> None:
    cases = found(searched)
    path = searched.root / "again.csv"
    path.write_bytes(case_table([*cases[:-1], Case(case_id="own", input_dir="two", params={"sigma_mm": [1, 2, 3]})]))
    read = read_case_table(path, searched, Gaussian3D)
    assert read[:-1] == cases[:-1]
    assert read[-1].params == {"sigma_mm": [1, 2, 3]}


def test_a_table_that_a_spreadsheet_has_saved_again_names_the_cases_of_the_next_search(searched: Workspace) -> None:
    before = found(searched)
    lines = [
        "\ufeffcase;folder;series",
        *(f"head-{case.case_id};./{case.input_dir}/;{case.series or ''}" for case in before),
    ]
    write_replacing(searched.root / "out/cases.csv", "\r\n".join(lines).encode())
    assert [case.case_id for case in found(searched)] == [f"head-{case.case_id}" for case in before]
    lines[2] = lines[2].replace("head-case-0002", "HEAD-case-0001")  # which is another name, but not on every disk
    write_replacing(searched.root / "out/cases.csv", "\r\n".join(lines).encode())
    assert found(searched)[1].case_id == "case-0001"


@pytest.mark.parametrize(
    "text", ["case;dir\na;b\n", 'case,folder\na,"b\n', "case,folder\na,../b\n", "case,folder\n/,b\n", "\xff"]
)
def test_a_search_says_what_is_wrong_with_the_table_of_the_run_before(searched: Workspace, text: str) -> None:
    write_replacing(searched.root / "out/cases.csv", text.encode("latin-1"))
    with pytest.raises(CaseTableRefused, match=r"cases\.csv"):
        found(searched)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_no_spreadsheet_takes_a_folder_or_what_a_header_gives_for_a_uid_for_a_formula(root: Path) -> None:
    def damage(_: int, ds: Dataset) -> None:
        ds.add_new("SeriesInstanceUID", "UI", UID("=cmd()", validation_mode=config.IGNORE))

    for name in ("=cmd()", "+1", "-1", "@a"):
        write_phantom_series(root / "odd" / name, seed=1, edit=damage)
    workspace = Workspace(root / "odd")
    cases = found(workspace)
    table = case_table(cases)
    assert [line.split(b",")[1][:2] for line in table.splitlines()[1:]] == [b"./"] * 4
    assert [line.split(b",")[2] for line in table.splitlines()[1:]] == [b"'=cmd()"] * 4
    (root / "t.csv").write_bytes(table)
    assert read_case_table(root / "t.csv", workspace, Gaussian3D) == cases


def test_a_folder_that_cannot_be_looked_into_is_a_case(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    for _ in range(18):  # deeper than a path may be long
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    cases = found(Workspace(root))
    assert [case.input_dir for case in cases][:3] == ["ZZDIR0/mr", "ZZDIR1/mr", "ZZDIR2/mr"]
    assert len(cases) == 4


def test_a_table_as_spreadsheets_write_it_is_read(root: Path) -> None:
    path = root / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfcase;folder;sigma_mm\r\na;ZZDIR0/mr;2.5\r\nb;ZZDIR1/mr;\r\n")
    a, b = read_case_table(path, Workspace(root), Gaussian3D)
    assert (a.params, b.params) == ({"sigma_mm": 2.5}, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case,dir\na,b\n", "no column 'folder'"),
        ("case,folder,sgima\na,b,1\n", "'sgima'"),
        ("case,folder,folder\na,b,c\n", "2 columns 'folder'"),
        ("case,folder\na,ZZDIR0\nA,ZZDIR1\n", "2 cases are named 'a'"),
        ("case,folder\n../a,ZZDIR0\n", "line 2: '../a' is no name"),
        ("case,folder\na,../x\n", "line 2: .*not inside the root"),
        ("case,folder\na,ZZDIR0,more\n", "line 2: it has more or fewer"),
        ("case,folder\na\n", "line 2: it has more or fewer"),
        ("case,folder\na,\n", "line 2: the folder is empty"),
        ("", "no column 'case': .*is empty"),
        ('case,"folder\n', "line 1: unexpected end"),
        ("case,folder\na,b\0c\n", "NUL"),
        (f"case,{'x' * 5000}\na,b\n", "no column 'folder': .{,200}$"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(root: Path, text: str, told: str) -> None:
    (root / "t.csv").write_text(text)
    with pytest.raises(CaseTableRefused, match=told):
        read_case_table(root / "t.csv", Workspace(root), Gaussian3D)
