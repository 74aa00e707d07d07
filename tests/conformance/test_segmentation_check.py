"""The checker passes the segmentations that jobs write, and finds what is wrong with others."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from dlp_lab.cli import main
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.segmentation_rules import SEGMENTATION_RULES
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.models.registry import add_model
from dlp_lab.store.workspace import Workspace
from tests.enhanced_phantom import write_enhanced_phantom
from tests.models.networks import description, threshold_network, write_package
from tests.phantom import write_phantom_series

# pydicom's, about the wrong values that mutants have on purpose
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
UID = "5" * 32
SHAPE = (7, 12, 10)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmentations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLP_LAB_MODELS", str(folder / "registry"))
        add_model(write_package(folder / "package", threshold_network(-389.5, -380.0), description(2)))
    return folder


def segmented(root: Path, name: str, form: str = "binary", read: ReadOptions = ReadOptions(), **series: Any) -> Path:  # noqa: B008
    """A phantom series and its segmentation by a job, in a workspace of its own; the folder of the result."""
    workspace = Workspace((root / name).absolute())
    workspace.create()
    if series.pop("enhanced", False):
        (workspace.root / "source").mkdir()
        write_enhanced_phantom(workspace.root / "source/file.dcm", shape=SHAPE)
    else:
        write_phantom_series(workspace.root / "source", **{"shape": SHAPE, **series})
    job = Job(
        uid=UID,
        state="running",
        submitted_at="",
        task="segment",
        input_dir="source",
        params={"form": form},
        keep_hdf5=False,
        read=read,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLP_LAB_MODELS", str(root / "registry"))
        run_job(workspace, job, lambda fraction, message: None)
    return workspace.job_folder(UID)


@pytest.fixture(scope="module")
def right(root: Path) -> Path:
    (root / "right").mkdir()
    return segmented(root, "right")


@pytest.mark.parametrize(
    ("form", "series"),
    [
        ("binary", {}),
        ("labelmap", {}),
        ("fractional", {}),
        ("binary", {"orientation": "oblique-sagittal"}),
        ("labelmap", {"orientation": "axial-rows-up"}),
        ("binary", {"enhanced": True}),
        ("binary", {"edit": lambda k, ds: delattr(ds, "SliceThickness")}),
    ],
)
def test_the_segmentation_of_a_job_passes_all_layers(root, tmp_path, form, series):
    (root / tmp_path.name).mkdir()
    folder = segmented(root, tmp_path.name, form, **series)
    report = check_derived(folder.parents[1] / "source", folder)
    assert report.findings == ()
    assert not any(layer.skipped for layer in report.layers)


def test_that_of_a_tilted_stack_that_was_kept_passes_and_of_one_that_was_resampled_too(root, tmp_path):
    for tilt in ("keep", "resample"):
        name = f"{tmp_path.name}-{tilt}"
        (root / name).mkdir()
        read = ReadOptions(tilt=tilt)  # type: ignore[arg-type]
        folder = segmented(root, name, read=read, shear_mm_per_slice=0.4)
        report = check_derived(folder.parents[1] / "source", folder, read)
        assert report.findings == (), tilt
    assert "frames-in-place" in {code for layer in report.layers for code in layer.not_applicable}


def test_a_wrong_slice_spacing_of_the_source_is_not_taken_over(root, tmp_path):
    (root / tmp_path.name).mkdir()
    folder = segmented(root, tmp_path.name, edit=lambda k, ds: setattr(ds, "SpacingBetweenSlices", "0.5"))
    assert check_derived(folder.parents[1] / "source", folder).findings == ()


Edit = Callable[[Dataset], Any]


def _frames(ds: Dataset) -> Any:
    return ds.PerFrameFunctionalGroupsSequence


def _moved(ds: Dataset) -> None:
    place = _frames(ds)[0].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(mm) + 0.2 for mm in place.ImagePositionPatient]


def _swapped_places(ds: Dataset) -> None:
    first, last = _frames(ds)[0].PlanePositionSequence[0], _frames(ds)[-1].PlanePositionSequence[0]
    first.ImagePositionPatient, last.ImagePositionPatient = last.ImagePositionPatient, first.ImagePositionPatient


def _next_reference(ds: Dataset) -> None:
    references = [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in _frames(ds)]
    uids = [item.ReferencedSOPInstanceUID for item in references]
    for item, uid in zip(references, uids[1:] + uids[:1], strict=True):
        item.ReferencedSOPInstanceUID = uid


def _shifted_segment(ds: Dataset) -> None:
    for frame in _frames(ds):
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber += 1


def _once_more(ds: Dataset) -> None:
    _frames(ds)[1].PlanePositionSequence = _frames(ds)[0].PlanePositionSequence
    for item in _frames(ds)[:2]:
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1


def _listed(ds: Dataset) -> Any:
    return ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence


MUTANTS: list[tuple[str, str, Edit]] = [
    ("the source's series", "segmentation-new", lambda ds: setattr(ds, "SeriesInstanceUID", "SOURCE")),
    ("another instance in the meta", "segmentation-new", lambda ds: setattr(ds, "SOPInstanceUID", "2.25.7")),
    ("another patient", "segmentation-of-patient", lambda ds: setattr(ds, "PatientID", "OTHER")),
    ("another study", "segmentation-of-patient", lambda ds: setattr(ds, "StudyInstanceUID", "2.25.7")),
    ("another frame of reference", "segmentation-of-patient", lambda ds: setattr(ds, "FrameOfReferenceUID", "2.25.7")),
    ("an original image", "segmentation-derived", lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY"])),
    ("no label of the content", "segmentation-named", lambda ds: delattr(ds, "ContentLabel")),
    ("no creator", "segmentation-named", lambda ds: delattr(ds, "ContentCreatorName")),
    ("fractions of one bit", "pixels-of-segmentation", lambda ds: setattr(ds, "SegmentationType", "FRACTIONAL")),
    ("segments from 2", "segments-numbered", lambda ds: setattr(ds.SegmentSequence[0], "SegmentNumber", 3)),
    ("frames of an unknown segment", "segments-numbered", _shifted_segment),
    (
        "no code of the type",
        "segments-coded",
        lambda ds: delattr(ds.SegmentSequence[1], "SegmentedPropertyTypeCodeSequence"),
    ),
    ("no algorithm", "segments-coded", lambda ds: delattr(ds.SegmentSequence[1], "SegmentAlgorithmName")),
    ("no tracking", "segments-tracked", lambda ds: delattr(ds.SegmentSequence[0], "TrackingUID")),
    (
        "one tracking for two",
        "segments-tracked",
        lambda ds: setattr(ds.SegmentSequence[0], "TrackingUID", ds.SegmentSequence[1].TrackingUID),
    ),
    ("a frame 0.2 mm beside its place", "frames-in-place", _moved),
    (
        "rows and columns of the spacing changed",
        "frames-in-place",
        lambda ds: setattr(
            ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], "PixelSpacing", ["0.5", "0.8"]
        ),
    ),
    (
        "slices twice as far apart",
        "slice-distance-true",
        lambda ds: setattr(
            ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], "SpacingBetweenSlices", "5.0"
        ),
    ),
    ("a frame at the place of another", "frames-once", _once_more),
    ("references to the next slice", "frames-refer-to-source", _next_reference),
    ("a slice that is not listed", "source-slices-listed", lambda ds: _listed(ds).pop()),
    (
        "a slice that is none of the source",
        "source-slices-listed",
        lambda ds: setattr(_listed(ds)[0], "ReferencedSOPInstanceUID", "2.25.7"),
    ),
    ("a slice listed twice", "source-slices-listed", lambda ds: _listed(ds).append(_listed(ds)[0])),
    ("the first and the last frame exchanged", "frames-refer-to-source", _swapped_places),
]


@pytest.mark.parametrize(("name", "code", "change"), MUTANTS, ids=[name for name, _, _ in MUTANTS])
def test_a_wrong_segmentation_is_found_by_the_rule_that_it_breaks(right, tmp_path, name, code, change):
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    source = right.parents[1] / "source"
    ds = pydicom.dcmread(folder / "segmentation.dcm")
    change(ds)
    if ds.SeriesInstanceUID == "SOURCE":
        ds.SeriesInstanceUID = pydicom.dcmread(next(source.iterdir())).SeriesInstanceUID
    pydicom.dcmwrite(folder / "segmentation.dcm", ds)
    assert f"rules:{code}" in check_derived(source, folder).codes


def test_every_rule_is_broken_by_a_mutant():
    broken = {code for _, code, _ in MUTANTS} | {"measurements-true"}  # which has a test of its own
    assert {rule.code for rule in SEGMENTATION_RULES} == broken


def test_a_report_that_tells_another_volume_is_found(right, tmp_path):
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    ds = pydicom.dcmread(folder / "measurements.dcm")

    def wrong(items: Any) -> None:
        for item in items:
            for value in item.get("MeasuredValueSequence") or []:
                value.NumericValue = "7"
            wrong(item.get("ContentSequence") or [])

    wrong(ds.ContentSequence)
    ds.save_as(folder / "measurements.dcm")
    assert "rules:measurements-true" in check_derived(right.parents[1] / "source", folder).codes


def test_labels_that_were_lost_are_found_by_the_record_and_by_the_report(right, tmp_path):
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    ds = pydicom.dcmread(folder / "segmentation.dcm")
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(folder / "segmentation.dcm")
    assert {"values:record-voxels", "rules:measurements-true"} <= check_derived(
        right.parents[1] / "source", folder
    ).codes


def test_the_record_of_another_job_is_found(right, tmp_path):
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    record = json.loads((folder / "job.json").read_text())
    record["result"]["series_instance_uid"] = "2.25.7"
    (folder / "job.json").write_text(json.dumps(record))
    assert "values:record-series" in check_derived(right.parents[1] / "source", folder).codes


def test_what_others_cannot_read_is_found(right, tmp_path):
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    ds = pydicom.dcmread(folder / "segmentation.dcm")
    del ds.DimensionIndexSequence
    ds.save_as(folder / "segmentation.dcm")
    assert {"geometry:highdicom-reads-the-same", "validators:dciodvfy"} & check_derived(
        right.parents[1] / "source", folder
    ).codes


def test_the_command_tells_of_a_segmentation_as_of_a_series_and_names_no_patient(right, tmp_path, capsys):
    source = right.parents[1] / "source"
    assert main(["check", str(source), str(right)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [
        ["validators", "holds"],
        ["rules", "holds"],
        ["geometry", "holds"],
        ["values", "holds"],
    ]
    folder = Path(shutil.copytree(right, tmp_path / "derived"))
    ds = pydicom.dcmread(folder / "segmentation.dcm")
    ds.PatientName, ds.PatientID = "Doe^Jane", "0123456789"
    ds.save_as(folder / "segmentation.dcm")
    assert main(["check", str(source), str(folder)]) == 1
    assert not re.search("PHANTOM-1|0123456789|Doe|Jane|Phantom", capsys.readouterr().out)


def test_the_document_lists_every_rule_for_segmentations_with_its_clause():
    rules = DOCUMENT.read_text().split("## Rules for segmentations")[1]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \| (.*) \|$", rules, flags=re.MULTILINE)
    assert rows == [(rule.code, rule.sentence, rule.clause) for rule in SEGMENTATION_RULES]
