"""`dlp-lab check` as its user meets it: the table, the JSON, the exit status, and what it does without its tools."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dlp_lab.cli import main
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.findings import LayerReport
from dlp_lab.conformance.independent_reading import IndependentReading, read_with_dcm2niix
from dlp_lab.conformance.placement import check_placement
from dlp_lab.conformance.rules import RULES
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import write_derived_series
from tests.conformance.mutation import Files, job_output
from tests.dicom.deriving import BLUR, derive
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import ORIENTATIONS, write_phantom_series

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.fixture
def job(tmp_path: Path) -> Files:
    return job_output(tmp_path / "job", "CT")


def layer(report_layers: tuple[LayerReport, ...], name: str) -> LayerReport:
    return next(layer for layer in report_layers if layer.layer == name)


def test_all_holds_is_status_0_and_a_line_for_each_layer(job: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(job.source), str(job.derived)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [
        ["validators", "holds"],
        ["rules", "holds"],
        ["geometry", "holds"],
        ["values", "holds"],
    ]
    assert lines[4].startswith("not applicable: one-file, ")


def test_a_finding_is_status_1_and_names_layer_rule_file_and_tag(
    job: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    job.edit(lambda ds, k, source: setattr(ds, "ImageType", source.ImageType) if k > 1 else None)
    assert main(["check", str(job.source), str(job.derived)]) == 1
    assert "rules:image-type-derived  0003.dcm and 2 more: ImageType (0008,0008)" in capsys.readouterr().out


def test_as_json_every_file_is_named(job: Files, capsys: pytest.CaptureFixture[str]) -> None:
    job.edit(lambda ds, k, source: setattr(ds, "BurnedInAnnotation", "NO"))
    assert main(["check", str(job.source), str(job.derived), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["holds"] is False
    rules = next(layer for layer in report["layers"] if layer["layer"] == "rules")
    assert [finding["file"] for finding in rules["findings"]] == [f"000{k}.dcm" for k in range(1, 6)]
    assert {finding["code"] for finding in rules["findings"]} == {"deidentification-kept"}


def test_no_patient_is_named_whatever_is_found(job: Files, capsys: pytest.CaptureFixture[str]) -> None:
    job.edit(lambda ds, k, source: (setattr(ds, "PatientID", "0123456789" * 7), setattr(ds, "PatientName", "Doe^Jane")))
    for form in ([], ["--json"]):
        assert main(["check", str(job.source), str(job.derived), *form]) == 1
        said = capsys.readouterr().out
        assert not re.search("PHANTOM-1|0123456789|Doe|Jane|Phantom", said), said
        assert str(job.source.parent) not in said


def test_it_speaks_by_findings_and_not_by_warnings_beside_them(job: Files, recwarn: pytest.WarningsRecorder) -> None:
    job.edit(lambda ds, k, source: setattr(ds, "PatientID", "0" * 70))
    recwarn.clear()
    check_derived(job.source, job.derived)
    assert [str(warning.message) for warning in recwarn.list] == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda job: shutil.rmtree(job.derived), "not a folder"),
        (lambda job: [path.unlink() for path in job.derived_paths()], "no DICOM image"),
        (lambda job: shutil.rmtree(job.source), "not a folder"),
        (lambda job: one_series(job.source).headers[2].path.unlink(), "slice"),
    ],
    ids=["no derived folder", "empty derived folder", "no source folder", "a source with a gap"],
)
def test_what_cannot_be_checked_is_status_2_and_a_sentence(
    job: Files, capsys: pytest.CaptureFixture[str], spoil: Callable[[Files], object], said: str
) -> None:
    spoil(job)
    assert main(["check", str(job.source), str(job.derived)]) == 2
    assert said in capsys.readouterr().err


def test_without_the_programs_it_says_how_to_install_them(
    job: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "dcm2niix" else find(name))
    assert main(["check", str(job.source), str(job.derived)]) == 2
    assert "checking needs dcm2niix, which is not installed: pip install 'dlp-lab[check]'" in capsys.readouterr().err


def test_without_a_record_the_values_are_not_checked_and_it_says_so(job: Files) -> None:
    (job.derived / "job.json").unlink()
    report = check_derived(job.source, job.derived)
    assert report.holds
    assert layer(report.layers, "values").skipped
    assert "no job.json" in layer(report.layers, "values").summary


def test_a_record_of_an_earlier_version_is_no_mistake(job: Files) -> None:
    job.edit_record(lambda record: record["result"].pop("profiles"))
    report = check_derived(job.source, job.derived)
    assert report.holds
    assert layer(report.layers, "values").skipped


def test_errors_of_the_source_are_not_held_against_the_derived_series(tmp_path: Path) -> None:
    job = job_output(tmp_path / "job", "CT")
    for folder in (job.source, job.derived):
        for path in [path for path in folder.iterdir() if path.name != "job.json"]:
            ds = pydicom.dcmread(path)
            del ds.KVP
            ds.save_as(path)
    report = check_derived(job.source, job.derived)
    assert report.holds
    assert "1 kinds of error are the source's own" in layer(report.layers, "validators").summary


def test_a_declared_resampling_may_have_a_grid_of_its_own(job: Files) -> None:
    def resample(ds: pydicom.Dataset, k: int, source: pydicom.Dataset) -> None:
        ds.DerivationCodeSequence[0].CodeValue = "113085"
        ds.DerivationCodeSequence[0].CodeMeaning = "Spatial resampling"
        ds.PixelSpacing = ["0.4", "0.25"]

    (job.derived / "job.json").unlink()
    job.edit(resample)
    assert check_derived(job.source, job.derived).findings == ()


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_another_reader_and_ours_find_the_same_values_on_the_same_grid(tmp_path: Path, orientation: str) -> None:
    phantom = write_phantom_series(tmp_path / "series", orientation=orientation, shape=(5, 20, 24))
    reading = read_with_dcm2niix(phantom.files)
    np.testing.assert_array_equal(reading.on_grid(phantom.affine_kji_to_lps, (5, 20, 24)), phantom.values)
    assert reading.on_grid(phantom.affine_kji_to_lps, (5, 20, 25)) is None
    assert reading.on_grid(phantom.affine_kji_to_lps @ np.diag([1, 1, 2, 1]), (5, 20, 24)) is None


def test_two_readers_that_disagree_are_a_finding(tmp_path: Path) -> None:
    phantom = write_phantom_series(tmp_path / "series", shape=(5, 20, 24))
    reading, own = read_with_dcm2niix(phantom.files), read_volume(one_series(phantom.folder))
    assert check_placement(reading, reading, own, resampled=False).findings == ()
    other_values = own.with_voxels(own.voxels + 1)
    assert [f.code for f in check_placement(reading, reading, other_values, resampled=False).findings] == ["reading"]
    moved = IndependentReading(reading.values_ijk, reading.affine_ijk_to_ras @ np.diag([2.0, 1, 1, 1]))
    assert [f.code for f in check_placement(moved, moved, own, resampled=False).findings] == ["grid"]


def test_the_document_lists_every_rule_with_its_clause() -> None:
    rules = DOCUMENT.read_text().split("## Rules")[1]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \| (.*) \|$", rules, flags=re.MULTILINE)
    assert rows == [(rule.code, rule.sentence, rule.clause) for rule in RULES]


def test_a_scanner_of_unknown_maker_and_private_elements_in_a_kept_sequence_are_no_finding(tmp_path: Path) -> None:
    def odd(k: int, ds: pydicom.Dataset) -> None:
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "x"
        code.add_new(0x00290010, "LO", "X")
        code.add_new(0x00291010, "LO", f"private {k}")
        ds.ProcedureCodeSequence = [code]
        ds.pop("Manufacturer", None)

    write_phantom_series(tmp_path / "source", edit=odd)
    derive(tmp_path / "derived", tmp_path / "source")
    assert check_derived(tmp_path / "source", tmp_path / "derived").findings == ()


def test_of_two_stacks_in_one_file_the_chosen_one_is_the_source(tmp_path: Path) -> None:
    phantom = write_enhanced_phantom(tmp_path / "source" / "all.dcm", in_order=True)
    ds = pydicom.dcmread(phantom.file)
    pixels, frames = ds.pixel_array, []
    for item in ds.PerFrameFunctionalGroupsSequence:
        for stack in ("1", "2"):
            frames.append(copy.deepcopy(item))
            frames[-1].FrameContentSequence[0].StackID = stack
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = frames, len(frames)
    ds.PixelData = np.repeat(pixels, 2, axis=0).tobytes()
    ds.save_as(phantom.file)
    options = ReadOptions(select={"StackID": "2"})
    series = one_series(tmp_path / "source", options)
    (tmp_path / "derived").mkdir()
    write_derived_series(series, read_volume(series), tmp_path / "derived", BLUR)
    assert check_derived(tmp_path / "source", tmp_path / "derived", options).findings == ()
