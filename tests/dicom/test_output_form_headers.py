"""What the header of one file tells, of the whole and of each frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.conformance.programs import dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.units import quantity_code, unit_code
from dlp_lab.dicom.write_derived import write_derived
from tests.dicom.deriving import BLUR, blurred
from tests.dicom.one_file_forms import FORMS, derive, frames_of
from tests.phantom import write_phantom_series


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


def test_a_frame_of_reference_is_made_where_the_source_has_none(tmp_path):
    written, _, _ = derive(tmp_path, "multiframe", edit=lambda k, ds: ds.__delattr__("FrameOfReferenceUID"))
    assert pydicom.dcmread(written.files[0]).FrameOfReferenceUID.startswith("2.25.")
    assert dciodvfy_errors(written.files[0]) == set()


@pytest.mark.parametrize("form", FORMS)
def test_a_lossy_transfer_syntax_marks_the_result(tmp_path, form):
    write_phantom_series(tmp_path / "source")
    series = one_series(tmp_path / "source")
    lossy = tuple(replace(header, transfer_syntax_uid=JPEGBaseline8Bit) for header in series.headers)
    (tmp_path / "derived").mkdir()
    source = replace(series, headers=lossy)
    written = write_derived(form, source, blurred(read_volume(series)), tmp_path / "derived", BLUR)
    assert pydicom.dcmread(written.files[0]).LossyImageCompression == "01"


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
