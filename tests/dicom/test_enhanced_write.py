"""The result of an enhanced multi-frame source is one valid file of the same SOP class, in the same place."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGLSNearLossless

from dlp_lab import errors
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.header_archive import encode_header, series_from_headers
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import DerivedSeries, write_derived_series
from dlp_lab.volume import Volume
from tests.dicom.deriving import blurred
from tests.dicom.quirks.frames import halves, in_frames, mixed_types, setting, two_stacks
from tests.enhanced_phantom import ENHANCED, EnhancedPhantom, write_enhanced_phantom
from tests.phantom import ORIENTATIONS

BLUR = Derivation(
    "job-1", "3dblur", "Gaussian blur", ("113088", "DCM", "Gaussian blur"), 1, datetime.datetime.now(datetime.UTC)
)
KINDS = [(modality, legacy) for modality in ("CT", "MR", "PT") for legacy in (False, True)]


def derive(
    source: Path, folder: Path, *, blur: bool = True, derivation: Derivation = BLUR, **options: str
) -> tuple[DerivedSeries, Volume, Dataset]:
    series = one_series(source, ReadOptions(**options))  # type: ignore[arg-type]
    values = read_volume(series)
    folder.mkdir()
    written = write_derived_series(series, blurred(values) if blur else values, folder, derivation)
    return written, blurred(values) if blur else values, pydicom.dcmread(written.files[0])


@pytest.fixture
def ct(tmp_path) -> EnhancedPhantom:
    return write_enhanced_phantom(tmp_path / "in" / "a.dcm", shape=(7, 24, 32))


@pytest.mark.parametrize(("modality", "legacy"), KINDS)
@pytest.mark.parametrize("orientation", ["axial", "coronal", "oblique", "oblique-sagittal"])
def test_dciodvfy_finds_no_error(tmp_path, modality, legacy, orientation):
    source = write_enhanced_phantom(
        tmp_path / "in" / "a.dcm", modality=modality, legacy=legacy, orientation=orientation
    ).file
    assert dciodvfy_errors(source) == set()
    written, _, _ = derive(tmp_path / "in", tmp_path / "out")
    assert dciodvfy_errors(written.files[0]) == set()
    assert dcentvfy_errors([source, *written.files]) == set()


@pytest.mark.parametrize(("modality", "legacy"), KINDS)
@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_read_again_it_has_the_same_place_and_the_values_within_half_a_stored_unit(
    tmp_path, modality, legacy, orientation
):
    phantom = write_enhanced_phantom(
        tmp_path / "in" / "a.dcm", modality=modality, legacy=legacy, orientation=orientation
    )
    written, values, _ = derive(tmp_path / "in", tmp_path / "out")
    again = read_volume(one_series(tmp_path / "out"))
    np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, values.geometry.affine_kji_to_lps)
    np.testing.assert_allclose(again.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-9)
    error = np.abs(again.voxels.astype(np.float64) - values.voxels).max()
    assert error <= written.rescale.slope * 0.5 * (1 + 1e-3)
    assert again.unit == values.unit


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_dcm2niix_and_simpleitk_read_the_same(tmp_path, modality):
    write_enhanced_phantom(tmp_path / "in" / "a.dcm", modality=modality)
    written, _, _ = derive(tmp_path / "in", tmp_path / "out")
    own = read_volume(one_series(tmp_path / "out"))
    theirs = read_with_dcm2niix(written.files).on_grid(own.geometry.affine_kji_to_lps, own.geometry.shape)
    assert theirs is not None
    np.testing.assert_allclose(theirs, own.voxels, rtol=1e-6, atol=1e-4)
    image = SimpleITK.ReadImage(str(written.files[0]))
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(image), own.voxels, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), own.geometry.affine_kji_to_lps[:3, 3], atol=1e-6)
    np.testing.assert_allclose(image.GetSpacing()[::-1], own.geometry.spacing_kji_mm, rtol=1e-6)


def test_values_that_do_not_change_come_back_bit_for_bit(tmp_path):
    phantom = write_enhanced_phantom(tmp_path / "in" / "a.dcm", modality="PT")
    _, _, ds = derive(tmp_path / "in", tmp_path / "out", blur=False)
    stored = pydicom.dcmread(phantom.file).pixel_array
    np.testing.assert_array_equal(ds.pixel_array, stored[phantom.frame_of_slice])
    slopes = [
        float(item.PixelValueTransformationSequence[0].RescaleSlope) for item in ds.PerFrameFunctionalGroupsSequence
    ]
    assert slopes == [0.5, 0.625, 0.75, 0.5, 0.625, 0.75, 0.5]
    assert "PixelValueTransformationSequence" not in ds.SharedFunctionalGroupsSequence[0]


def test_one_slope_for_all_frames_is_shared_and_written_as_in_the_source(tmp_path):
    def edit(number: int, item: Dataset) -> None:
        item.PixelValueTransformationSequence[0].RescaleSlope = "1.000000"

    write_enhanced_phantom(tmp_path / "in" / "a.dcm", shared=(), edit=in_frames(edit))
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    rescale = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    assert (str(rescale.RescaleSlope), str(rescale.RescaleIntercept)) == ("1.000000", "-1024")
    assert rescale.RescaleType == "HU"
    assert not any("PixelValueTransformationSequence" in item for item in ds.PerFrameFunctionalGroupsSequence)


def test_frames_follow_the_normal_with_the_positions_of_their_sources_digit_for_digit(tmp_path, ct):
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    source = pydicom.dcmread(ct.file).PerFrameFunctionalGroupsSequence
    for position, (item, frame) in enumerate(zip(ds.PerFrameFunctionalGroupsSequence, ct.frame_of_slice, strict=True)):
        assert item.PlanePositionSequence == source[frame].PlanePositionSequence
        content = item.FrameContentSequence[0]
        assert content.FrameAcquisitionDateTime == source[frame].FrameContentSequence[0].FrameAcquisitionDateTime
        assert (content.StackID, content.InStackPositionNumber) == ("1", position + 1)
        assert content.DimensionIndexValues == [1, position + 1]
    pointers = [(item.DimensionIndexPointer, item.FunctionalGroupPointer) for item in ds.DimensionIndexSequence]
    assert pointers == [(0x00209056, 0x00209111), (0x00209057, 0x00209111)]


def test_the_file_is_of_the_same_kind_patient_and_study_and_has_identifiers_of_its_own(tmp_path, ct):
    written, _, ds = derive(tmp_path / "in", tmp_path / "out")
    source = pydicom.dcmread(ct.file)
    assert [path.name for path in written.files] == ["0001.dcm"]
    for keyword in ("SOPClassUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "Modality"):
        assert ds[keyword].value == source[keyword].value
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID != source.SOPInstanceUID
    assert ds.SeriesInstanceUID == written.series_instance_uid != source.SeriesInstanceUID
    assert (ds.NumberOfFrames, ds.InstanceNumber, ds.SeriesNumber) == (7, 1, 301)
    (tmp_path / "again").mkdir()
    series = one_series(tmp_path / "in")
    write_derived_series(series, blurred(read_volume(series)), tmp_path / "again", BLUR)
    assert (tmp_path / "again" / "0001.dcm").read_bytes() == written.files[0].read_bytes()


def test_every_frame_says_how_it_was_derived_and_from_which(tmp_path, ct):
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    source = pydicom.dcmread(ct.file)
    numbers = [frame + 1 for frame in ct.frame_of_slice]
    for k, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
        (derivation,) = item.DerivationImageSequence
        assert derivation.DerivationCodeSequence[0].CodeValue == "113088"
        assert "Gaussian blur" in derivation.DerivationDescription
        (reference,) = derivation.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        around = [numbers[n] for n in (k - 1, k + 1) if 0 <= n < 7]
        assert list(reference.ReferencedFrameNumber) == [numbers[k], *around]
        assert reference.SpatialLocationsPreserved == "YES"
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    evidence = ds.SourceImageEvidenceSequence[-1].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == source.SeriesInstanceUID
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_a_frame_made_of_all_refers_to_its_own_first_and_then_to_the_whole_file(tmp_path, ct):
    everywhere = Derivation("job-1", "segment", "Segmented")
    _, _, ds = derive(tmp_path / "in", tmp_path / "out", derivation=everywhere)
    derivation = ds.PerFrameFunctionalGroupsSequence[2].DerivationImageSequence[0]
    own, whole = derivation.SourceImageSequence
    assert own.ReferencedFrameNumber == ct.frame_of_slice[2] + 1
    assert "ReferencedFrameNumber" not in whole
    assert derivation.DerivationCodeSequence[0].CodingSchemeDesignator == "99DLPLAB"
    assert dciodvfy_errors(tmp_path / "out" / "0001.dcm") == set()


def test_a_derivation_is_added_to_those_before(tmp_path, ct):
    derive(tmp_path / "in", tmp_path / "out")
    _, _, ds = derive(tmp_path / "out", tmp_path / "again")
    for item in ds.PerFrameFunctionalGroupsSequence:
        assert len(item.DerivationImageSequence) == 2
    assert dciodvfy_errors(tmp_path / "again" / "0001.dcm") == set()


def test_frames_are_derived_and_what_they_were_before_is_kept(tmp_path):
    write_enhanced_phantom(tmp_path / "in" / "a.dcm", edit=in_frames(mixed_types), in_order=True)
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    types = [list(item.CTImageFrameTypeSequence[0].FrameType) for item in ds.PerFrameFunctionalGroupsSequence]
    assert types[:2] == [["DERIVED", "PRIMARY", "VOLUME", "NONE"], ["DERIVED", "PRIMARY", "VOLUME", "MEAN"]]
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "MIXED"]


def test_the_program_is_the_equipment_and_the_scanner_contributed(tmp_path, ct):
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    assert (ds.Manufacturer, ds.ManufacturerModelName) == ("dlp-lab", "3dblur")
    scanner, program = ds.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.DeviceSerialNumber) == ("Phantom Works", "0007")
    assert program.Manufacturer == "dlp-lab"


def test_what_was_true_of_the_old_pixels_alone_is_left_out(tmp_path):
    def burden(number: int, item: Dataset) -> None:
        mapping = Dataset()
        mapping.RealWorldValueSlope = 2.0
        item.RealWorldValueMappingSequence = [mapping]
        item.FrameVOILUTSequence[0].WindowWidth = "0"
        item.add_new(0x00191001, "LO", "private")
        item.FrameContentSequence[0].add_new(0x00191001, "LO", "private")
        converted = Dataset()
        converted.SmallestImagePixelValue, converted.RescaleSlope, converted.EchoTime = 5, "9", "12"
        item.UnassignedPerFrameConvertedAttributesSequence = [converted]

    def burden_top(ds: Dataset) -> None:
        ds.RescaleSlope, ds.PixelPresentation = "9", "COLOR"
        ds.RedPaletteColorLookupTableDescriptor = [100, 1024, 16]
        ds.ExtendedOffsetTable = bytes(56)
        ds.DimensionOrganizationType = "3D_TEMPORAL"
        ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = "1.2.3", 1, 1

    write_enhanced_phantom(tmp_path / "in" / "a.dcm", shared=(), edit=in_frames(burden), before_saving=burden_top)
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    told = {element.keyword for element in ds.iterall()}
    assert not told & {
        *("RealWorldValueMappingSequence", "FrameVOILUTSequence", "WindowWidth", "SmallestImagePixelValue"),
        *("RedPaletteColorLookupTableDescriptor", "ExtendedOffsetTable", "DimensionOrganizationType"),
        *("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber"),
    }
    assert not any(element.tag.is_private for element in ds.iterall())
    assert "RescaleSlope" not in ds
    assert ds.PixelPresentation == "MONOCHROME"
    kept = ds.PerFrameFunctionalGroupsSequence[0].UnassignedPerFrameConvertedAttributesSequence[0]
    assert (kept.EchoTime, "RescaleSlope" in kept) == (12, False)


def test_a_valid_window_stays(tmp_path, ct):
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    assert ds.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0].WindowWidth == 400


@pytest.mark.parametrize(
    ("phantom", "options"),
    [
        ({"shear_mm_per_slice": 0.6}, {"tilt": "resample"}),
        ({"slice_offsets_mm": [0, 2, 5, 7, 10, 12.6, 15]}, {"irregular": "resample"}),
        ({"slice_offsets_mm": [0, 1, 2, 3, 7, 8, 9]}, {"irregular": "resample"}),
    ],
    ids=["tilt", "irregular", "headers taken twice"],
)
def test_resampled_frames_have_places_of_their_own_and_say_so(tmp_path, phantom, options):
    def tilted(number: int, item: Dataset) -> None:
        item.CTAcquisitionDetailsSequence[0].GantryDetectorTilt = "13.5"

    write_enhanced_phantom(tmp_path / "in" / "a.dcm", orientation="axial", edit=in_frames(tilted), **phantom)
    written, values, ds = derive(tmp_path / "in", tmp_path / "out", **options)
    again = read_volume(one_series(tmp_path / "out"))
    assert again.geometry.matches(values.geometry)
    np.testing.assert_allclose(again.voxels, values.voxels, atol=written.rescale.slope)
    derivation = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert [item.CodeValue for item in derivation.DerivationCodeSequence] == ["113088", "113085"]
    assert derivation.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    assert ds.SharedFunctionalGroupsSequence[0].CTAcquisitionDetailsSequence[0].GantryDetectorTilt == 0
    assert {*dciodvfy_errors(written.files[0])} <= {*dciodvfy_errors(tmp_path / "in" / "a.dcm")}


def test_padded_frames_are_not_written(tmp_path):
    write_enhanced_phantom(tmp_path / "in" / "a.dcm", slice_offsets_mm=[0, 2.5, 5, 10, 12.5, 15, 17.5])
    written, _, ds = derive(tmp_path / "in", tmp_path / "out", gaps="pad")
    assert (ds.NumberOfFrames, written.indices) == (7, (0, 1, 2, 4, 5, 6, 7))


def test_only_the_frames_that_were_chosen_are_written(tmp_path):
    phantom = two_stacks(tmp_path / "in")
    _, values, ds = derive(tmp_path / "in", tmp_path / "out", blur=False, select={"StackID": "1"})
    assert ds.NumberOfFrames == len(ds.PerFrameFunctionalGroupsSequence) == 4
    np.testing.assert_array_equal(values.voxels, phantom.values[:4])
    np.testing.assert_array_equal(read_volume(one_series(tmp_path / "out")).voxels, values.voxels)
    assert ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[
        0
    ].ReferencedFrameNumber == [1, 2]


def test_frames_of_several_files_become_one_file_that_refers_to_all(tmp_path):
    phantom = halves(tmp_path / "in", concatenated=True)
    other = pydicom.dcmread(tmp_path / "in" / "1.dcm")
    other.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0].WindowWidth = "500"
    other.save_as(tmp_path / "in" / "1.dcm")
    written, _, ds = derive(tmp_path / "in", tmp_path / "out", blur=False)
    np.testing.assert_array_equal(read_volume(one_series(tmp_path / "out")).voxels, phantom.values)
    widths = [item.FrameVOILUTSequence[0].WindowWidth for item in ds.PerFrameFunctionalGroupsSequence]
    assert sorted(widths) == [400, 400, 400, 500, 500, 500, 500]
    assert "FrameVOILUTSequence" not in ds.SharedFunctionalGroupsSequence[0]
    assert len(ds.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence) == 2
    assert dciodvfy_errors(written.files[0]) == set()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda uid: uid.keyword)
def test_a_source_in_another_encoding_becomes_explicit_little_endian(tmp_path, syntax):
    phantom = write_enhanced_phantom(tmp_path / "in" / "a.dcm", modality="MR", transfer_syntax=syntax)
    written, _, ds = derive(tmp_path / "in", tmp_path / "out", blur=False)
    np.testing.assert_array_equal(ds.pixel_array, phantom.values)
    assert ds.PatientName == "Phantom^Änne"
    assert dciodvfy_errors(written.files[0]) == set()


def test_once_lossy_is_always_lossy(tmp_path):
    def claim(ds: Dataset) -> None:
        ds.LossyImageCompression = "00"

    phantom = write_enhanced_phantom(tmp_path / "in" / "a.dcm", shape=(3, 40, 48))
    ds = pydicom.dcmread(phantom.file)
    ds.compress(JPEGLSNearLossless, jls_error=1, generate_instance_uid=False)
    claim(ds)
    ds.save_as(phantom.file)
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    assert ds.LossyImageCompression == "01"


def test_an_archived_source_gives_the_same_file_to_the_last_byte(tmp_path, ct):
    series = one_series(tmp_path / "in")
    blob = encode_header(series.headers[0]).encoded
    archived = series_from_headers([blob], "v.h5", frames=[(0, header.frame or 0) for header in series.headers])
    for name, source in (("files", series), ("archive", archived)):
        (tmp_path / name).mkdir()
        write_derived_series(source, read_volume(series), tmp_path / name, BLUR)
    assert (tmp_path / "files/0001.dcm").read_bytes() == (tmp_path / "archive/0001.dcm").read_bytes()


def test_frames_that_an_archive_does_not_have_are_refused(tmp_path, ct):
    blob = encode_header(one_series(tmp_path / "in").headers[0]).encoded
    with pytest.raises(errors.Malformed, match=r"v\.h5 names frames"):
        series_from_headers([blob], "v.h5", frames=[(0, 7)])


def test_frames_of_a_concatenation_keep_their_text_in_the_character_set_of_their_file(tmp_path):
    (tmp_path / "in").mkdir()
    comments = "Süd", "東京"
    for part, character_set in enumerate(("ISO_IR 100", "ISO_IR 192")):
        phantom = write_enhanced_phantom(tmp_path / "whole.dcm", shape=(6, 24, 32), in_order=True)
        ds = pydicom.dcmread(phantom.file)
        pixels = ds.pixel_array[3 * part : 3 * part + 3]
        ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[3 * part : 3 * part + 3]
        ds.NumberOfFrames, ds.PixelData = 3, pixels.tobytes()
        ds.SpecificCharacterSet, ds.PatientName = character_set, "Phantom"
        for item in ds.PerFrameFunctionalGroupsSequence:
            item.FrameContentSequence[0].FrameComments = comments[part]
        ds.ConcatenationUID, ds.SOPInstanceUIDOfConcatenationSource = "1.2.9", "1.2.10"
        ds.InConcatenationNumber, ds.InConcatenationTotalNumber = part + 1, 2
        ds.ConcatenationFrameOffsetNumber = 3 * part
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{part + 1}"
        ds.save_as(tmp_path / "in" / f"{part}.dcm", enforce_file_format=True)
    written, _, _ = derive(tmp_path / "in", tmp_path / "out")
    ds = pydicom.dcmread(written.files[0])
    found = [item.FrameContentSequence[0].FrameComments for item in ds.PerFrameFunctionalGroupsSequence]
    assert found == [comments[0]] * 3 + [comments[1]] * 3
    assert dciodvfy_errors(written.files[0]) <= dciodvfy_errors(tmp_path / "in" / "0.dcm")
    assert check_derived(tmp_path / "in", tmp_path / "out").findings == ()


def test_a_source_without_uids_of_study_and_series_is_not_listed_by_them(tmp_path):
    def forget(ds: Dataset) -> None:
        ds.StudyInstanceUID = ds.SeriesInstanceUID = ""

    write_enhanced_phantom(tmp_path / "in" / "a.dcm", before_saving=forget)
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    assert "SourceImageEvidenceSequence" not in ds


def test_the_source_is_not_touched(tmp_path, ct):
    before = ct.file.read_bytes()
    derive(tmp_path / "in", tmp_path / "out")
    assert ct.file.read_bytes() == before


def test_mr_stays_identity(tmp_path):
    write_enhanced_phantom(tmp_path / "in" / "a.dcm", modality="MR", edit=setting(SOPClassUID=ENHANCED["MR"]))
    _, _, ds = derive(tmp_path / "in", tmp_path / "out")
    rescale = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    assert (rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType) == (1, 0, "US")
