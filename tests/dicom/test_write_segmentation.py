from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_segmentation import WrittenSegmentation, write_segmentation
from dlp_lab.errors import Malformed, TemplateMismatch
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Algorithm, Code, Label, LabelMap
from tests.enhanced_phantom import write_enhanced_phantom
from tests.patience import PATIENCE_S
from tests.phantom import ORIENTATIONS, write_phantom_series

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
LABELS = (
    Label(2, "liver", ANATOMY, Code("10200004", "SCT", "Liver"), colour_rgb=(221, 130, 101)),
    Label(5, "left kidney", ANATOMY, Code("64033007", "SCT", "Kidney"), laterality="left"),
)
ALGORITHM = Algorithm("parts", "1.0", "nobody", (("sha256", "ab" * 32),))


def labels_on(geometry: Geometry, seed: int = 0) -> LabelMap:
    voxels = np.random.default_rng(seed).choice(np.array([0, 2, 5], np.uint8), geometry.shape)
    return LabelMap(voxels, geometry, LABELS)


def written(series: Series, label_map: LabelMap, folder: Path, form: str = "binary") -> WrittenSegmentation:
    folder.mkdir()
    derivation = Derivation("seed", "segment", "Parts of the phantom")
    return write_segmentation(series, label_map, ALGORITHM, form, folder, derivation)  # type: ignore[arg-type]


def segments_on_grid(path: Path, geometry: Geometry) -> np.ndarray:
    """Segment numbers as highdicom reads them, put where the frames say they lie."""
    segmentation = highdicom.seg.segread(path)
    found = np.zeros(geometry.shape, np.uint8)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    spacing = [float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing]
    np.testing.assert_allclose(spacing, geometry.spacing_kji_mm[1:], rtol=1e-6)
    cosines = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    steps = geometry.affine_kji_to_lps[:3, :3] / np.asarray(geometry.spacing_kji_mm)
    np.testing.assert_allclose(cosines, steps[:, [2, 1]].T, atol=1e-6)
    pixels = np.atleast_3d(segmentation.pixel_array).reshape(-1, *geometry.shape[1:])
    into = np.linalg.inv(geometry.affine_kji_to_lps)
    for frame, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        position = [float(mm) for mm in groups.PlanePositionSequence[0].ImagePositionPatient]
        k, j, i = into[:3, :3] @ position + into[:3, 3]
        assert (k, j, i) == pytest.approx((round(k), 0, 0), abs=1e-3)
        if segmentation.SegmentationType == "LABELMAP":
            found[round(k)] = frame
        else:
            found[round(k)][frame > 0] = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return found


def segment_numbers(label_map: LabelMap) -> np.ndarray:
    numbers = np.zeros(6, np.uint8)
    numbers[[2, 5]] = 1, 2
    return numbers[label_map.voxels]


@pytest.mark.parametrize("form", ["binary", "labelmap"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_labels_come_back_bit_for_bit_at_their_place(tmp_path, orientation, form):
    write_phantom_series(tmp_path / "source", orientation=orientation)
    series = one_series(tmp_path / "source")
    label_map = labels_on(series.geometry)
    made = written(series, label_map, tmp_path / "out", form)
    np.testing.assert_array_equal(segments_on_grid(made.file, series.geometry), segment_numbers(label_map))
    assert dciodvfy_errors(made.file) == set()
    assert dcentvfy_errors([*(header.path for header in series.headers), made.file]) == set()


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_labels_of_a_tilted_series_come_back_at_their_place(tmp_path, form):
    write_phantom_series(tmp_path / "source", orientation="axial", shear_mm_per_slice=0.4)
    series = one_series(tmp_path / "source", ReadOptions(tilt="keep"))
    label_map = labels_on(series.geometry)
    made = written(series, label_map, tmp_path / "out", form)
    np.testing.assert_array_equal(segments_on_grid(made.file, series.geometry), segment_numbers(label_map))
    assert dciodvfy_errors(made.file) == set()


def test_dcmqi_reads_the_same_labels_from_an_oblique_series(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    write_phantom_series(tmp_path / "source", orientation="oblique")
    series = one_series(tmp_path / "source")
    label_map = labels_on(series.geometry)
    made = written(series, label_map, tmp_path / "out")
    command = [
        str(Path(sys.executable).parent / "segimage2itkimage"),
        *("--inputDICOM", str(made.file), "--outputDirectory", str(tmp_path), "-t", "nii", "-p", "dcmqi"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    lps_to_ras = np.diag([-1, -1, 1, 1])
    for number in (1, 2):
        (path,) = tmp_path.glob(f"dcmqi*{number}.nii*")
        image = nibabel.load(path)
        into = np.linalg.inv(lps_to_ras @ image.affine)
        index = np.argwhere(segment_numbers(label_map) == number)
        places = series.geometry.positions_lps_mm(index) @ into[:3, :3].T + into[:3, 3]
        assert np.abs(places - np.rint(places)).max() < 1e-3
        values = np.asarray(image.dataobj)
        assert (values[tuple(np.rint(places).astype(int).T)] > 0).all()
        assert (values > 0).sum() == len(index)


def test_segments_say_what_they_are_and_what_made_them(tmp_path):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    made = written(series, labels_on(series.geometry), tmp_path / "out")
    ds = pydicom.dcmread(made.file)
    liver, kidney = ds.SegmentSequence
    assert (liver.SegmentLabel, liver.SegmentNumber) == ("liver", 1)
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    modifier = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert modifier.CodeMeaning == "Left"
    made_by = liver.SegmentationAlgorithmIdentificationSequence[0]
    assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == ("parts", "1.0")
    assert "ab" * 32 in made_by.AlgorithmParameters
    source = pydicom.dcmread(series.headers[0].path)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "AccessionNumber"):
        assert ds[keyword].value == source[keyword].value
    assert ds.SeriesInstanceUID != source.SeriesInstanceUID
    references = {item.ReferencedSOPInstanceUID for item in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert references == {header.sop_instance_uid for header in series.headers}


def test_the_same_job_makes_the_same_uids(tmp_path):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    uids = []
    for number in range(2):
        ds = pydicom.dcmread(written(series, labels_on(series.geometry), tmp_path / f"out{number}").file)
        organization = ds.DimensionOrganizationSequence[0].DimensionOrganizationUID
        tracking = [segment.TrackingUID for segment in ds.SegmentSequence]
        uids.append((ds.SOPInstanceUID, ds.SeriesInstanceUID, organization, tracking))
    assert uids[0] == uids[1]


@pytest.mark.parametrize("form", ["binary", "labelmap", "fractional"])
def test_a_result_without_any_structure_is_a_valid_segmentation(tmp_path, form):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    nothing = np.zeros(series.geometry.shape, np.uint8)
    fractions = np.zeros((2, *series.geometry.shape), np.uint8) if form == "fractional" else None
    made = written(series, LabelMap(nothing, series.geometry, LABELS, fractions), tmp_path / "out", form)
    assert not pydicom.dcmread(made.file).pixel_array.any()
    assert dciodvfy_errors(made.file) == set()


def test_fractions_come_back_in_255_steps(tmp_path):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    fractions = np.random.default_rng(0).integers(1, 256, (2, *series.geometry.shape)).astype(np.uint8)
    label_map = LabelMap(labels_on(series.geometry).voxels, series.geometry, LABELS, fractions)
    made = written(series, label_map, tmp_path / "out", "fractional")
    ds = pydicom.dcmread(made.file)
    into = np.linalg.inv(series.geometry.affine_kji_to_lps)
    for frame, groups in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        position = [float(mm) for mm in groups.PlanePositionSequence[0].ImagePositionPatient]
        k = round((into[:3, :3] @ position + into[:3, 3])[0])
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(frame, fractions[segment - 1, k])
    assert dciodvfy_errors(made.file) == set()


ABSENT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "SeriesNumber", "Manufacturer"),
    *("SpecificCharacterSet", "FrameOfReferenceUID", "SliceThickness"),
)


@pytest.mark.parametrize("keyword", [*ABSENT, "all"])
def test_what_the_source_does_not_say_does_not_keep_a_segmentation_from_being_written(tmp_path, keyword):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        if keyword in ("all", "SpecificCharacterSet"):
            ds.PatientName = "Phantom^Anne"
        for absent in ABSENT if keyword == "all" else [keyword]:
            del ds[absent]

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    label_map = labels_on(series.geometry)
    made = written(series, label_map, tmp_path / "out")
    np.testing.assert_array_equal(segments_on_grid(made.file, series.geometry), segment_numbers(label_map))
    assert dciodvfy_errors(made.file) == set()


@pytest.mark.parametrize(
    ("keyword", "value", "written_value"),
    [
        ("SpecificCharacterSet", "", None),
        ("SpecificCharacterSet", "ISO 2022 IR 13", "ISO 2022 IR 13"),
        ("StudyTime", "11:42:21", "114221"),
        ("StudyDate", "1991.03.04", "19910304"),
        ("PatientBirthDate", "1951.03.04", "19510304"),
    ],
)
def test_what_files_say_in_odd_ways_does_not_keep_a_segmentation_from_being_written(
    tmp_path, keyword, value, written_value
):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds.PatientName = "Phantom^Anne"
        ds[keyword] = pydicom.DataElement(keyword, ds[keyword].VR, value, validation_mode=pydicom.config.IGNORE)

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    made = written(series, labels_on(series.geometry), tmp_path / "out")
    assert pydicom.dcmread(made.file).get(keyword) == written_value


def test_a_series_of_no_study_is_refused(tmp_path):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        del ds.StudyInstanceUID

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    with pytest.raises(Malformed, match="has no StudyInstanceUID"):
        written(series, labels_on(series.geometry), tmp_path / "out")


def test_what_cannot_be_carried_over_is_refused_with_the_name_of_the_file_and_not_its_value(tmp_path):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds["StudyTime"] = pydicom.DataElement("StudyTime", "TM", "half past 9", validation_mode=pydicom.config.IGNORE)

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    with pytest.raises(Malformed, match=series.headers[0].path.name) as refused:
        written(series, labels_on(series.geometry), tmp_path / "out")
    assert "half past" not in str(refused.value)


@pytest.mark.parametrize("sex", ["male", "X", "f"])
def test_a_sex_that_dicom_does_not_define_is_left_empty(tmp_path, sex):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds.PatientSex = sex

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    made = written(series, labels_on(series.geometry), tmp_path / "out")
    assert pydicom.dcmread(made.file).PatientSex == ""
    assert dciodvfy_errors(made.file) == set()


def test_padded_slices_are_not_written_and_resampled_ones_have_their_own_place(tmp_path):
    write_phantom_series(tmp_path / "gap", slice_offsets_mm=[0, 2.5, 5, 10, 12.5, 15, 17.5])
    padded = one_series(tmp_path / "gap", ReadOptions(gaps="pad"))
    label_map = labels_on(padded.geometry)
    found = segments_on_grid(written(padded, label_map, tmp_path / "padded").file, padded.geometry)
    expected = segment_numbers(label_map)
    expected[3] = 0
    np.testing.assert_array_equal(found, expected)
    write_phantom_series(tmp_path / "tilted", orientation="axial", shear_mm_per_slice=0.4)
    resampled = one_series(tmp_path / "tilted", ReadOptions(tilt="resample"))
    label_map = labels_on(resampled.geometry)
    made = written(resampled, label_map, tmp_path / "resampled")
    np.testing.assert_array_equal(segments_on_grid(made.file, resampled.geometry), segment_numbers(label_map))
    assert dciodvfy_errors(made.file) == set()


def test_labels_of_a_multi_frame_source_name_its_frames(tmp_path):
    phantom = write_enhanced_phantom(tmp_path / "source" / "image")
    series = one_series(tmp_path / "source")
    label_map = labels_on(series.geometry)
    made = written(series, label_map, tmp_path / "out")
    np.testing.assert_array_equal(segments_on_grid(made.file, series.geometry), segment_numbers(label_map))
    ds = pydicom.dcmread(made.file)
    into = np.linalg.inv(series.geometry.affine_kji_to_lps)
    for groups in ds.PerFrameFunctionalGroupsSequence:
        position = [float(mm) for mm in groups.PlanePositionSequence[0].ImagePositionPatient]
        k = round((into[:3, :3] @ position + into[:3, 3])[0])
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert reference.ReferencedFrameNumber == phantom.frame_of_slice[k] + 1
    (instance,) = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert instance.ReferencedSOPClassUID == series.headers[0].sop_class_uid
    assert dciodvfy_errors(made.file) == set()


def test_labels_on_another_grid_or_in_another_frame_of_reference_are_refused(tmp_path):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    own = series.geometry
    moved = own.affine_kji_to_lps.copy()
    moved[0, 3] += 1
    for number, geometry in enumerate(
        (Geometry(own.shape, moved), Geometry(own.shape, own.affine_kji_to_lps, "1.2.3"))
    ):
        with pytest.raises(TemplateMismatch):
            written(series, labels_on(geometry), tmp_path / f"out{number}")


def test_nothing_of_the_patient_is_printed(tmp_path, recwarn):
    def edit(k: int, ds: pydicom.Dataset) -> None:
        ds.PatientName = "Jane_Doe"

    write_phantom_series(tmp_path / "source", edit=edit)
    series = one_series(tmp_path / "source")
    written(series, labels_on(series.geometry), tmp_path / "out")
    assert [str(warning.message) for warning in recwarn if "Jane" in str(warning.message)] == []
