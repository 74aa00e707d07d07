"""One file instead of a series: valid, in the right place, with the right values, whatever reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, ParametricMapStorage

from dlp_lab import errors
from dlp_lab.cli import main
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.independent_reading import IndependentReading, read_with_dcm2niix
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.options import OUTPUT_FORMS, OutputForm, ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.units import quantity_code, unit_code
from dlp_lab.dicom.write_derived import refuse_form, write_derived
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.volume import Volume
from tests.dicom.deriving import BLUR, blurred
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import ORIENTATIONS, write_phantom_series

FORMS: tuple[OutputForm, ...] = ("multiframe", "parametric_map")
CASES = [(modality, orientation) for modality in ("CT", "MR", "PT") for orientation in sorted(ORIENTATIONS)]


def derive(
    folder: Path,
    form: OutputForm,
    derivation: Derivation = BLUR,
    result: Callable[[Volume], Volume] = blurred,
    options: ReadOptions | None = None,
    **phantom: Any,
) -> tuple[DerivedSeries, Volume, Series]:
    write_phantom_series(folder / "source", **{"shape": (7, 24, 32), **phantom})
    series = one_series(folder / "source", options or ReadOptions())
    values = result(read_volume(series))
    (folder / "derived").mkdir()
    return write_derived(form, series, values, folder / "derived", derivation), values, series


def frames_of(ds: Dataset, group: str) -> list[Dataset]:
    """The item of a functional group for each frame, wherever it stands."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    return [(frame if group in frame else shared)[group].value[0] for frame in ds.PerFrameFunctionalGroupsSequence]


@pytest.mark.parametrize(("modality", "orientation"), CASES)
@pytest.mark.parametrize("form", FORMS)
def test_every_frame_lies_where_its_slice_does_digit_for_digit(tmp_path, form, modality, orientation):
    written, _, series = derive(tmp_path, form, modality=modality, orientation=orientation)
    (path,) = written.files
    ds = pydicom.dcmread(path)
    sources = [pydicom.dcmread(header.path) for header in series.headers]
    assert ds.NumberOfFrames == len(sources) == len(ds.PerFrameFunctionalGroupsSequence)
    for group, keywords in (
        ("PlanePositionSequence", ["ImagePositionPatient"]),
        ("PlaneOrientationSequence", ["ImageOrientationPatient"]),
        ("PixelMeasuresSequence", ["PixelSpacing", "SliceThickness"]),
    ):
        for frame, source in zip(frames_of(ds, group), sources, strict=True):
            for keyword in keywords:
                assert frame.get_item(keyword).value == source.get_item(keyword).value
    assert ds.FrameOfReferenceUID == sources[0].FrameOfReferenceUID


@pytest.mark.parametrize(("modality", "orientation"), CASES)
def test_a_parametric_map_holds_the_computed_values_bit_for_bit_for_every_reader(tmp_path, modality, orientation):
    written, values, series = derive(tmp_path, "parametric_map", modality=modality, orientation=orientation)
    ds = pydicom.dcmread(written.files[0])
    assert values.voxels.dtype == np.float32
    assert bytes(ds.FloatPixelData) == values.voxels.tobytes()
    assert written.greatest_rounding_error == 0
    affine, shape = series.geometry.affine_kji_to_lps, values.voxels.shape
    np.testing.assert_array_equal(read_with_dcm2niix(written.files).on_grid(affine, shape), values.voxels)
    other = _read_by_highdicom(written.files[0], series)
    np.testing.assert_array_equal(other.array, values.voxels)
    np.testing.assert_allclose(other.affine, affine, atol=1e-6)


@pytest.mark.parametrize(("modality", "orientation"), CASES)
def test_a_multi_frame_image_is_read_at_its_place_within_half_a_step_by_three_readers(tmp_path, modality, orientation):
    written, values, series = derive(tmp_path, "multiframe", modality=modality, orientation=orientation)
    affine, shape = series.geometry.affine_kji_to_lps, values.voxels.shape
    allowed = written.greatest_rounding_error * (1 + 1e-3)
    image = SimpleITK.ReadImage(str(written.files[0]))
    highdicom_volume = _read_by_highdicom(written.files[0], series)
    for read in (
        read_with_dcm2niix(written.files).on_grid(affine, shape),
        highdicom_volume.array,
        SimpleITK.GetArrayFromImage(image),
    ):
        assert np.abs(read - values.voxels).max() <= allowed
    np.testing.assert_allclose(highdicom_volume.affine, affine, atol=1e-6)
    for k, j, i in ((0, 0, 0), (6, 23, 31), (3, 0, 31)):
        place = image.TransformIndexToPhysicalPoint((i, j, k))
        np.testing.assert_allclose(place, series.geometry.positions_lps_mm((k, j, i)), atol=1e-6)


def _read_by_highdicom(path: Path, series: Series) -> Any:
    grid = highdicom.Volume(
        np.zeros(series.geometry.shape),
        affine=series.geometry.affine_kji_to_lps,
        coordinate_system="PATIENT",
        frame_of_reference_uid=series.geometry.frame_of_reference_uid,
    )
    return highdicom.imread(path).get_volume().match_geometry(grid)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_it_is_valid_dicom_beside_its_source(tmp_path, form, modality):
    written, _, series = derive(tmp_path, form, modality=modality)
    assert dciodvfy_errors(written.files[0]) == set()
    assert dcentvfy_errors([*written.files, *(header.path for header in series.headers)]) == set()


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_refers_to_all_slices_within_reach_its_own_first(tmp_path, form):
    written, _, series = derive(tmp_path, form)
    uids = [header.sop_instance_uid for header in series.headers]
    ds = pydicom.dcmread(written.files[0])
    for k, item in enumerate(frames_of(ds, "DerivationImageSequence")):
        named = [reference.ReferencedSOPInstanceUID for reference in item.SourceImageSequence]
        assert named[0] == uids[k]
        assert set(named) == set(uids[max(0, k - 2) : k + 3])
        assert item.DerivationCodeSequence[0].CodeValue == "113088"
        assert "3D Gaussian sigma 1 mm" in item.DerivationDescription
    if form == "multiframe":
        evidence = ds.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
        sources = [item.ReferencedSOPInstanceUID for item in frames_of(ds, "ConversionSourceAttributesSequence")]
        assert sources == uids
    else:
        evidence = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [item.ReferencedSOPInstanceUID for item in evidence] == uids


@pytest.mark.parametrize("form", FORMS)
def test_it_says_that_it_is_derived_and_keeps_patient_study_and_lossiness(tmp_path, form):
    def lossy(k: int, ds: Dataset) -> None:
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", f"{4 + k}"
        ds.LossyImageCompressionMethod = "ISO_10918_1"

    written, _, series = derive(tmp_path, form, edit=lossy)
    ds, source = pydicom.dcmread(written.files[0]), pydicom.dcmread(series.headers[0].path)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "AccessionNumber", "Modality"):
        assert ds.get_item(keyword).value == source.get_item(keyword).value
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 4)
    assert ds.ImageType[:2] == ["DERIVED", "PRIMARY"]
    frame_type = "CTImageFrameTypeSequence" if form == "multiframe" else "ParametricMapFrameTypeSequence"
    assert {str(item.FrameType) for item in frames_of(ds, frame_type)} == {str(ds.ImageType)}
    assert [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in ds.ContributingEquipmentSequence] == [
        "109101",
        "109102",
    ]
    assert not [element for element in ds.iterall() if element.tag.is_private]
    assert "SmallestImagePixelValue" not in [element.keyword for element in ds.iterall()]


@pytest.mark.parametrize("form", FORMS)
def test_its_uids_follow_from_the_seed(tmp_path, form):
    uids = []
    for name, seed in (("first", "job-1"), ("again", "job-1"), ("other", "job-2")):
        (tmp_path / name).mkdir()
        write_phantom_series(tmp_path / "source", shape=(7, 24, 32))
        series = one_series(tmp_path / "source")
        derivation = Derivation(seed, "3dblur", "blur", made_at=BLUR.made_at)
        written = write_derived(form, series, blurred(read_volume(series)), tmp_path / name, derivation)
        ds = pydicom.dcmread(written.files[0])
        uids.append((ds.SOPInstanceUID, ds.SeriesInstanceUID))
        if name == "again":
            assert written.files[0].read_bytes() == (tmp_path / "first" / "0001.dcm").read_bytes()
    assert uids[0] == uids[1]
    assert not {*uids[0]} & {*uids[2]}


def test_what_has_no_place_in_a_multi_frame_image_is_kept_unassigned(tmp_path):
    def vary(k: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = "Phantom^Änne"
        ds.ConvolutionKernel = "weich-ß"
        ds.AcquisitionTime = f"1015{k:02d}"

    written, _, _ = derive(tmp_path, "multiframe", edit=vary)
    ds = pydicom.dcmread(written.files[0])
    shared = ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence[0]
    assert (shared.KVP, shared.ConvolutionKernel, shared.AcquisitionDate) == (120, "weich-ß", "20240102")
    own = frames_of(ds, "UnassignedPerFrameConvertedAttributesSequence")
    assert [item.AcquisitionTime for item in own] == [f"1015{k:02d}" for k in range(7)]
    assert "weich-ß".encode() in written.files[0].read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_text_of_a_frame_stays_readable_where_slices_have_character_sets_of_their_own(tmp_path, form):
    texts = ["blur", "Süd", "東京", "山田", "김희중", "王小东", "Люкс"]
    sets = ["ISO_IR 100", "ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 149"], "GB18030"]

    def vary(k: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = [*sets, "ISO_IR 144"][k]
        ds.PatientName = "Phantom"
        ds.DerivationDescription = ds.WindowCenterWidthExplanation = texts[k]

    written, _, _ = derive(tmp_path, form, edit=vary)
    ds = pydicom.dcmread(written.files[0])
    groups = [frames_of(ds, group) for group in ("DerivationImageSequence", "FrameVOILUTSequence")]
    assert [group.DerivationDescription.partition(";")[0] for group in groups[0]] == texts
    assert [group.WindowCenterWidthExplanation for group in groups[1]] == texts
    assert ["SpecificCharacterSet" in group for group in groups[0]] == [False, False, *[True] * 5]
    assert check_derived(tmp_path / "source", tmp_path / "derived").findings == ()


@pytest.mark.parametrize("transfer_syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("form", FORMS)
def test_headers_of_other_encodings_become_explicit_little_endian(tmp_path, form, transfer_syntax):
    written, values, series = derive(tmp_path, form, transfer_syntax=transfer_syntax)
    assert dciodvfy_errors(written.files[0]) == set()
    read = read_with_dcm2niix(written.files).on_grid(series.geometry.affine_kji_to_lps, values.voxels.shape)
    assert np.abs(read - values.voxels).max() <= written.greatest_rounding_error * (1 + 1e-3)


def test_pet_frames_keep_slopes_of_their_own_and_name_their_unit(tmp_path):
    written, values, series = derive(tmp_path, "multiframe", result=lambda volume: volume, modality="PT")
    ds = pydicom.dcmread(written.files[0])
    slopes = [float(item.RescaleSlope) for item in frames_of(ds, "PixelValueTransformationSequence")]
    assert slopes == [header.rescale_slope for header in series.headers]
    assert len(set(slopes)) > 1
    for item, slope in zip(frames_of(ds, "RealWorldValueMappingSequence"), slopes, strict=True):
        assert (item.RealWorldValueSlope, item.MeasurementUnitsCodeSequence[0].CodeValue) == (slope, "Bq/ml")
    read = read_with_dcm2niix(written.files).on_grid(series.geometry.affine_kji_to_lps, values.voxels.shape)
    np.testing.assert_allclose(read, values.voxels, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("HU", "[hnsf'U]"),
        ("BQML", "Bq/ml"),
        ("GML", "g/ml"),
        (None, "1"),
        ("US", "1"),
        ("NONE", "1"),
        ("ED", "{ED}"),
        ("of Mrs Miller's {own}", "1"),
    ],
)
def test_a_unit_becomes_a_ucum_code(unit, code):
    assert (unit_code(unit).CodeValue, unit_code(unit).CodingSchemeDesignator) == (code, "UCUM")


def test_only_hounsfield_units_tell_what_is_measured():
    assert quantity_code("HU").CodeMeaning == "Attenuation Coefficient"
    assert quantity_code("BQML") is None


@pytest.mark.parametrize(("modality", "code"), [("CT", "[hnsf'U]"), ("MR", "1"), ("PT", "Bq/ml")])
def test_a_parametric_map_maps_its_values_to_themselves_in_their_unit(tmp_path, modality, code):
    written, values, _ = derive(tmp_path, "parametric_map", modality=modality)
    ds = pydicom.dcmread(written.files[0])
    (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == code
    ends = mapping.DoubleFloatRealWorldValueFirstValueMapped, mapping.DoubleFloatRealWorldValueLastValueMapped
    assert ends == values.value_range()
    assert (ds.ContentLabel, ds.ContentDescription, ds["ContentCreatorName"].VM) == ("3DBLUR", BLUR.description, 0)


def test_values_beyond_float32_are_rounded_and_the_error_is_told(tmp_path):
    written, exact, _ = derive(
        tmp_path, "parametric_map", result=lambda volume: volume.with_voxels(volume.voxels.astype(np.float64) + 0.1)
    )
    stored = pydicom.dcmread(written.files[0]).pixel_array
    assert 0 < written.greatest_rounding_error == np.abs(stored.astype(np.float64) - exact.voxels).max()


@pytest.mark.parametrize("form", FORMS)
def test_a_tilted_stack_is_written_frame_by_frame(tmp_path, form):
    written, _, series = derive(tmp_path, form, options=ReadOptions(tilt="keep"), shear_mm_per_slice=0.7)
    assert series.geometry.tilt_degrees > 10
    ds = pydicom.dcmread(written.files[0])
    places = [[float(v) for v in item.ImagePositionPatient] for item in frames_of(ds, "PlanePositionSequence")]
    assert places == [list(header.position_lps_mm) for header in series.headers]
    assert dciodvfy_errors(written.files[0]) == set()


@pytest.mark.parametrize("form", FORMS)
def test_resampled_and_padded_series_have_the_frames_of_their_grid(tmp_path, form):
    offsets = [0, 2.5, 5, 7.6, 10, 12.5, 15]
    written, _, series = derive(tmp_path, form, options=ReadOptions(irregular="resample"), slice_offsets_mm=offsets)
    ds = pydicom.dcmread(written.files[0])
    places = [[float(v) for v in item.ImagePositionPatient] for item in frames_of(ds, "PlanePositionSequence")]
    np.testing.assert_allclose(places, [series.geometry.positions_lps_mm((k, 0, 0)) for k in range(len(places))])
    codes = [code.CodeValue for code in frames_of(ds, "DerivationImageSequence")[0].DerivationCodeSequence]
    assert sorted(codes) == ["113085", "113088"]
    write_phantom_series(tmp_path / "gappy", shape=(7, 24, 32)).files[3].unlink()
    gappy = one_series(tmp_path / "gappy", ReadOptions(gaps="pad"))
    (tmp_path / "padded").mkdir()
    padded = write_derived(form, gappy, blurred(read_volume(gappy)), tmp_path / "padded", BLUR)
    assert pydicom.dcmread(padded.files[0]).NumberOfFrames == 6
    assert padded.indices == (0, 1, 2, 4, 5, 6)


def test_a_frame_of_reference_is_made_where_the_source_has_none(tmp_path):
    written, _, _ = derive(tmp_path, "multiframe", edit=lambda k, ds: ds.__delattr__("FrameOfReferenceUID"))
    assert pydicom.dcmread(written.files[0]).FrameOfReferenceUID.startswith("2.25.")
    assert dciodvfy_errors(written.files[0]) == set()


def test_monochrome1_is_refused_as_multi_frame_before_anything_is_computed(tmp_path):
    write_phantom_series(tmp_path, edit=lambda k, ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
    series = one_series(tmp_path)
    with pytest.raises(errors.UnsupportedPixels, match=r"MONOCHROME1.*as a series or a parametric map"):
        refuse_form("multiframe", series)
    for form in ("series", "parametric_map"):
        refuse_form(form, series)


def test_annotations_burned_in_are_refused_as_parametric_map(tmp_path):
    with pytest.raises(errors.UnsupportedPixels, match="burned into"):
        derive(tmp_path, "parametric_map", edit=lambda k, ds: setattr(ds, "BurnedInAnnotation", "YES"))


def test_more_than_one_file_can_hold_is_refused_before_anything_is_computed(tmp_path):
    write_phantom_series(tmp_path)
    series = one_series(tmp_path)
    large = replace(series, geometry=replace(series.geometry, shape=(4096, 512, 512)))
    with pytest.raises(errors.TooLarge, match="4 GiB"):
        refuse_form("parametric_map", large)
    refuse_form("series", large)


@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_so_is_a_multi_frame_result_of_a_multi_frame_source_whatever_its_form_is_called(tmp_path, form):
    write_enhanced_phantom(tmp_path / "file.dcm")
    series = one_series(tmp_path)
    large = replace(series, geometry=replace(series.geometry, shape=(8192, 512, 512)))
    with pytest.raises(errors.TooLarge, match=r"4 GiB.*--select"):
        refuse_form(form, large)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_an_enhanced_source_is_written_in_every_form(tmp_path, form, modality):
    source = write_enhanced_phantom(tmp_path / "source/all.dcm", modality=modality, shape=(7, 24, 32))
    series = one_series(tmp_path / "source")
    values = blurred(read_volume(series))
    (tmp_path / "derived").mkdir()
    written = write_derived(form, series, values, tmp_path / "derived", replace(BLUR, reach_slices=1))
    (path,) = written.files
    ds = pydicom.dcmread(path)
    if form == "parametric_map":
        assert np.array_equal(ds.pixel_array, values.voxels.astype(np.float32))
    else:
        assert ds.SOPClassUID == series.first.sop_class_uid
        again = read_volume(one_series(tmp_path / "derived"))
        assert np.abs(again.voxels - values.voxels).max() <= written.greatest_rounding_error + 1e-3
    assert [group.ImagePositionPatient for group in frames_of(ds, "PlanePositionSequence")] == [
        list(header.position_lps_mm) for header in series.headers
    ]
    images = frames_of(ds, "DerivationImageSequence")[2].SourceImageSequence
    assert {image.ReferencedSOPInstanceUID for image in images} == {series.first.sop_instance_uid}
    assert [number for image in images for number in image.ReferencedFrameNumber] == [
        1 + source.frame_of_slice[k] for k in (2, 1, 3)
    ]
    assert dciodvfy_errors(path) <= dciodvfy_errors(source.file)
    assert not dcentvfy_errors([source.file, path])


def test_a_parametric_map_of_an_enhanced_source_keeps_the_anatomy_of_its_frames(tmp_path):
    def differ(ds: Dataset) -> None:
        for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
            frame.FrameAnatomySequence[0].FrameLaterality = "RL"[number % 2]

    source = write_enhanced_phantom(tmp_path / "source/all.dcm", shape=(7, 24, 32), edit=differ)
    series = one_series(tmp_path / "source")
    (tmp_path / "derived").mkdir()
    (path,) = write_derived("parametric_map", series, blurred(read_volume(series)), tmp_path / "derived", BLUR).files
    found = frames_of(pydicom.dcmread(path), "FrameAnatomySequence")
    assert [anatomy.FrameLaterality for anatomy in found] == ["RL"[frame % 2] for frame in source.frame_of_slice]
    assert {anatomy.AnatomicRegionSequence[0].CodeMeaning for anatomy in found} == {"Head"}
    assert dciodvfy_errors(path) <= dciodvfy_errors(source.file)


@pytest.mark.parametrize("form", FORMS)
def test_an_odd_number_of_bytes_is_padded(tmp_path, form):
    written, _, _ = derive(tmp_path, form, shape=(3, 5, 7))
    ds = pydicom.dcmread(written.files[0])
    assert ds.pixel_array.shape == (3, 5, 7)
    assert written.files[0].stat().st_size % 2 == 0


@pytest.mark.parametrize("form", OUTPUT_FORMS)
@pytest.mark.parametrize("spoil", [lambda v: v * np.nan, lambda v: v * np.float32(1e30)], ids=["nan", "too large"])
def test_values_that_dicom_cannot_hold_are_refused_in_every_form(
    tmp_path: Path, form: OutputForm, spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    with pytest.raises(errors.TaskResultInvalid):
        derive(tmp_path, form, result=lambda volume: volume.with_voxels(spoil(volume.voxels.astype(np.float32))))


@pytest.mark.parametrize("form", FORMS)
def test_a_lossy_transfer_syntax_marks_the_result(tmp_path, form):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    lossy = tuple(replace(header, transfer_syntax_uid=JPEGBaseline8Bit) for header in series.headers)
    (tmp_path / "derived").mkdir()
    source = replace(series, headers=lossy)
    written = write_derived(form, source, blurred(read_volume(series)), tmp_path / "derived", BLUR)
    assert pydicom.dcmread(written.files[0]).LossyImageCompression == "01"


def test_the_command_line_offers_the_forms_that_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["run", "3dblur", "x", "--output-form", "pdf"])
    said = capsys.readouterr().err
    assert [form for form in OUTPUT_FORMS if form in said] == list(OUTPUT_FORMS)


@pytest.mark.parametrize("legacy", [False, True], ids=["enhanced", "legacy converted"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_a_multi_frame_source_has_every_form_and_the_checker_holds_it_right(tmp_path, form, modality, legacy):
    (tmp_path / "source").mkdir()
    write_enhanced_phantom(tmp_path / "source" / "file", modality=modality, shape=(7, 24, 32), legacy=legacy)
    series = one_series(tmp_path / "source")
    values = blurred(read_volume(series))
    (tmp_path / "derived").mkdir()
    written = write_derived(form, series, values, tmp_path / "derived", BLUR)
    (path,) = written.files
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == (ParametricMapStorage if form == "parametric_map" else series.first.sop_class_uid)
    first = frames_of(ds, "DerivationImageSequence")[0].SourceImageSequence[0]
    numbers = (
        [first.ReferencedFrameNumber] if isinstance(first.ReferencedFrameNumber, int) else first.ReferencedFrameNumber
    )
    assert numbers[0] == series.first.frame + 1
    report = check_derived(tmp_path / "source", tmp_path / "derived")
    assert report.findings == ()
    assert [layer.layer for layer in report.layers if layer.skipped] == ["values"]  # no job made a record
    read = read_with_dcm2niix(written.files).on_grid(series.geometry.affine_kji_to_lps, values.voxels.shape)
    assert np.abs(read - values.voxels).max() <= written.greatest_rounding_error * (1 + 1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_numbers_that_readers_of_frames_trust_are_put_right(tmp_path, form):
    def odd(k: int, ds: Dataset) -> None:
        ds.SpacingBetweenSlices, ds.SliceThickness, ds.NumberOfFrames = "9", None, 1

    written, values, series = derive(tmp_path, form, edit=odd)
    ds = pydicom.dcmread(written.files[0])
    measures = frames_of(ds, "PixelMeasuresSequence")[0]
    np.testing.assert_allclose([measures.SpacingBetweenSlices, measures.SliceThickness], 2.5)
    assert [element.value for element in ds.iterall() if element.keyword == "NumberOfFrames"] == [7]
    assert check_derived(tmp_path / "source", tmp_path / "derived").findings == ()
    read = read_with_dcm2niix(written.files).on_grid(series.geometry.affine_kji_to_lps, values.voxels.shape)
    assert np.abs(read - values.voxels).max() <= written.greatest_rounding_error * (1 + 1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_a_spacing_that_is_right_stays_as_it_is_written(tmp_path, form):
    written, _, _ = derive(tmp_path, form, edit=lambda k, ds: setattr(ds, "SpacingBetweenSlices", "2.500"))
    measures = frames_of(pydicom.dcmread(written.files[0]), "PixelMeasuresSequence")[0]
    assert measures.get_item("SpacingBetweenSlices").value.strip() == b"2.500"


@pytest.mark.parametrize("form", FORMS)
def test_a_source_without_uids_or_with_references_of_its_own_is_checked_without_a_finding(tmp_path, form):
    def odd(k: int, ds: Dataset) -> None:
        ds.StudyInstanceUID = ds.SeriesInstanceUID = ""
        localizer = Dataset()
        localizer.ReferencedSOPClassUID, localizer.ReferencedSOPInstanceUID = ds.SOPClassUID, "2.25.9"
        ds.ReferencedImageSequence = [localizer]

    derive(tmp_path, form, edit=odd)
    assert check_derived(tmp_path / "source", tmp_path / "derived").findings == ()


def test_a_reading_counted_in_another_order_is_the_same_place(tmp_path):
    phantom = write_phantom_series(tmp_path, shape=(7, 24, 32))
    reading = read_with_dcm2niix(phantom.files)
    turned = IndependentReading(
        reading.values_ijk.transpose(2, 0, 1)[:, ::-1],
        reading.affine_ijk_to_ras @ np.array([[0, -1, 0, 31], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]),
    )
    back = turned.in_order_of(reading)
    np.testing.assert_allclose(back.affine_ijk_to_ras, reading.affine_ijk_to_ras, atol=1e-9)
    np.testing.assert_array_equal(back.values_ijk, reading.values_ijk)


@pytest.mark.parametrize("form", FORMS)
def test_slices_that_are_a_little_uneven_are_no_finding(tmp_path, form):
    offsets = [0, 2.515, 5.0, 7.49, 10.0, 12.51, 15.0]
    derive(tmp_path, form, slice_offsets_mm=offsets, edit=lambda k, ds: setattr(ds, "SpacingBetweenSlices", "2.5"))
    assert check_derived(tmp_path / "source", tmp_path / "derived").findings == ()
