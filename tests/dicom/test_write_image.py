"""A derived series is valid DICOM, in the right place, with the right values, and refers to its source."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from scipy import ndimage

from dlp_lab import errors
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_image import Derivation, DerivedSeries, write_derived_series
from dlp_lab.volume import Volume
from tests.phantom import ORIENTATIONS, Phantom, write_phantom_series
from tools.conformance import blur_and_compare

MADE_AT = datetime.datetime(2025, 3, 4, 5, 6, 7, 89, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
BLUR = Derivation(
    "job-1", "3dblur", "3D Gaussian sigma 1 mm", ("113088", "DCM", "Gaussian blur"), reach_slices=2, made_at=MADE_AT
)

KEPT = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "StudyDescription",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "PatientPosition",
    "BodyPartExamined",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionNumber",
    "Modality",
    "SOPClassUID",
    "KVP",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
)


def blurred(volume: Volume) -> Volume:
    sigma = [1 / mm for mm in volume.geometry.spacing_kji_mm]
    return volume.with_voxels(ndimage.gaussian_filter(volume.voxels.astype(np.float32), sigma, mode="nearest"))


def derive(
    folder: Path, source: Path, derivation: Derivation = BLUR, result: Volume | None = None
) -> tuple[DerivedSeries, Volume, Series]:
    series = one_series(source)
    values = blurred(read_volume(series)) if result is None else result
    folder.mkdir()
    return write_derived_series(series, values, folder, derivation), values, series


@pytest.fixture
def ct(tmp_path) -> Phantom:
    return write_phantom_series(tmp_path / "source", shape=(7, 24, 32))


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_read_again_it_has_the_same_place_and_the_values_within_half_a_stored_unit(tmp_path, modality, orientation):
    write_phantom_series(tmp_path / "source", modality=modality, orientation=orientation)
    written, values, series = derive(tmp_path / "derived", tmp_path / "source")
    again = read_volume(one_series(tmp_path / "derived"))
    assert again.geometry.matches(series.geometry)
    np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, series.geometry.affine_kji_to_lps)
    error = np.abs(again.voxels.astype(np.float64) - values.voxels).max()
    assert error <= written.rescale.slope * 0.5 * (1 + 1e-3)
    assert again.unit == values.unit


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", ["axial", "coronal", "oblique", "oblique-sagittal"])
def test_dcm2niix_reads_source_and_result_at_the_same_place_with_the_values_of_scipy(tmp_path, modality, orientation):
    write_phantom_series(tmp_path / "phantom", modality=modality, orientation=orientation, shape=(7, 24, 32))
    agreement = blur_and_compare(tmp_path / "phantom", tmp_path)
    assert agreement.holds, agreement


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_simpleitk_finds_the_result_where_the_source_is(tmp_path, modality):
    write_phantom_series(tmp_path / "source", modality=modality, shape=(7, 24, 32))
    derive(tmp_path / "derived", tmp_path / "source")
    images = []
    for name in ("source", "derived"):
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / name)))
        images.append(reader.Execute())
    corner = (31, 23, 6)
    for index in ((0, 0, 0), corner, (31, 0, 3)):
        places = [image.TransformIndexToPhysicalPoint(index) for image in images]
        np.testing.assert_allclose(places[0], places[1], atol=1e-3)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_the_checkers_find_no_error_in_source_or_result(tmp_path, modality):
    phantom = write_phantom_series(tmp_path / "source", modality=modality)
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert dciodvfy_errors(phantom.files[0]) == set()
    for path in written.files:
        assert dciodvfy_errors(path) == set()
    assert dcentvfy_errors([*phantom.files, *written.files]) == set()


def test_patient_study_place_and_acquisition_stay_as_they_were_byte_for_byte(tmp_path):
    def japanese(k: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        ds.PatientName = "Yamada^Tarou=山田^太郎"

    phantom = write_phantom_series(tmp_path / "source", edit=japanese)
    written, _, series = derive(tmp_path / "derived", tmp_path / "source")
    for k, path in enumerate(written.files):
        before = pydicom.dcmread(series.headers[k].path)
        after = pydicom.dcmread(path)
        assert series.headers[k].path == phantom.files[k]
        for keyword in KEPT:
            assert after.get_item(keyword).value == before.get_item(keyword).value, keyword


def test_series_and_instances_are_new_and_follow_from_the_seed(tmp_path, ct):
    first, _, series = derive(tmp_path / "one", ct.folder)
    again, _, _ = derive(tmp_path / "two", ct.folder)
    other, _, _ = derive(tmp_path / "three", ct.folder, Derivation("job-2", "3dblur", "x"))
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in first.files]
    assert [pydicom.dcmread(path).SOPInstanceUID for path in again.files] == uids
    assert first.series_instance_uid == again.series_instance_uid != other.series_instance_uid
    assert len({*uids, *(header.sop_instance_uid for header in series.headers)}) == 14
    for path in first.files:
        ds = pydicom.dcmread(path)
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.SeriesInstanceUID == first.series_instance_uid
        assert all(uid.is_valid and len(uid) <= 64 for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID))


def test_it_says_that_it_is_derived_how_when_and_from_what(tmp_path, ct):
    written, _, series = derive(tmp_path / "derived", ct.folder)
    ds = pydicom.dcmread(written.files[3])
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert ds.DerivationDescription.startswith("3D Gaussian sigma 1 mm; dlp-lab ")
    code = ds.DerivationCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("113088", "DCM", "Gaussian blur")
    uids = [header.sop_instance_uid for header in series.headers]
    references = [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence]
    assert references == [uids[3], uids[1], uids[2], uids[4], uids[5]]
    assert ds.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert ds.SourceImageSequence[0].SpatialLocationsPreserved == "YES"
    assert ds.InstanceNumber == 4
    assert ds.SeriesNumber == 301
    assert ds.SeriesDescription == "Analytic phantom 3dblur"
    assert (ds.ContentDate, ds.ContentTime) == ("20250304", "050607.000089")


def test_the_first_slice_of_a_long_reach_refers_to_all(tmp_path, ct):
    whole = Derivation("job-1", "3dblur", "x", reach_slices=None, made_at=MADE_AT)
    written, _, _ = derive(tmp_path / "derived", ct.folder, whole)
    assert len(pydicom.dcmread(written.files[0]).SourceImageSequence) == 7


def test_times_are_told_in_the_time_zone_of_the_source(tmp_path):
    write_phantom_series(tmp_path / "source", edit=lambda k, ds: setattr(ds, "TimezoneOffsetFromUTC", "-0530"))
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    ds = pydicom.dcmread(written.files[0])
    assert (ds.SeriesDate, ds.SeriesTime) == ("20250303", "213607.000089")


def test_the_program_is_the_equipment_and_the_scanner_contributed(tmp_path, ct):
    written, _, _ = derive(tmp_path / "derived", ct.folder)
    ds = pydicom.dcmread(written.files[0])
    scanner, program = ds.ContributingEquipmentSequence
    assert (ds.Manufacturer, ds.ManufacturerModelName) == ("dlp-lab", "3dblur")
    assert "DeviceSerialNumber" not in ds
    assert (scanner.Manufacturer, scanner.DeviceSerialNumber) == ("Phantom Works", "0007")
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert program.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert program.ContributionDateTime == "20250304050607.000089+0200"


def test_nothing_stale_or_private_is_left(tmp_path):
    def burden(k: int, ds: Dataset) -> None:
        ds.PixelPaddingValue = -2000
        ds.add_new(0x60000010, "US", 5)
        ds.add_new(0x60003000, "OW", b"\0\0")
        ds.VOILUTSequence = [Dataset()]
        ds.RealWorldValueMappingSequence = [Dataset()]
        item = Dataset()
        item.add_new(0x00291010, "LO", "private inside")
        ds.RequestAttributesSequence = [item]

    write_phantom_series(tmp_path / "source", edit=burden)
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    ds = pydicom.dcmread(written.files[0])
    assert not [element.tag for element in ds.iterall() if element.tag.is_private]
    for keyword in (
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "PixelPaddingValue",
        "VOILUTSequence",
        "RealWorldValueMappingSequence",
    ):
        assert keyword not in ds
    assert not [element for element in ds if 0x6000 <= element.tag.group <= 0x60FF]


def test_a_lossy_source_stays_marked_lossy(tmp_path):
    write_phantom_series(tmp_path / "source", edit=lambda k, ds: setattr(ds, "LossyImageCompression", "01"))
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert pydicom.dcmread(written.files[0]).LossyImageCompression == "01"


def test_what_the_source_is_silent_about_is_not_asserted(tmp_path, ct):
    written, _, _ = derive(tmp_path / "derived", ct.folder)
    ds = pydicom.dcmread(written.files[0])
    for keyword in ("BurnedInAnnotation", "PatientIdentityRemoved", "LossyImageCompression", "Laterality"):
        assert keyword not in ds


def test_a_foreign_preamble_is_not_copied(tmp_path, ct):
    for path in ct.files:
        path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    written, _, _ = derive(tmp_path / "derived", ct.folder)
    assert written.files[0].read_bytes()[:128] == b"\0" * 128


def test_the_source_is_not_touched(tmp_path, ct):
    before = [path.read_bytes() for path in ct.files]
    derive(tmp_path / "derived", ct.folder)
    assert [path.read_bytes() for path in ct.files] == before


def constant_source_values(ct: Phantom, voxels: np.ndarray) -> Volume:
    series = one_series(ct.folder)
    return Volume(voxels, series.geometry, "HU", "CT")


def test_halves_are_rounded_to_even(tmp_path, ct):
    voxels = np.zeros((7, 24, 32), np.float32)
    voxels[0, 0, :6] = [0.5, 1.5, 2.5, -0.5, -1.5, 100]
    derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    again = read_volume(one_series(tmp_path / "derived"))
    assert again.voxels[0, 0, :6].tolist() == [0, 2, 2, 0, -2, 100]


def test_values_beyond_16_bits_are_scaled_and_never_clipped(tmp_path, ct):
    voxels = np.linspace(-5e5, 3e6, 7 * 24 * 32, dtype=np.float32).reshape(7, 24, 32)
    written, _, _ = derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    again = read_volume(one_series(tmp_path / "derived"))
    assert written.rescale.slope > 1
    assert np.abs(again.voxels - voxels).max() <= written.rescale.slope * 0.51
    assert dciodvfy_errors(written.files[0]) == set()


def test_values_within_0_and_1_keep_their_detail(tmp_path, ct):
    voxels = np.random.default_rng(0).random((7, 24, 32), dtype=np.float32)
    derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    again = read_volume(one_series(tmp_path / "derived"))
    assert np.abs(again.voxels - voxels).max() < 1e-4


def test_a_constant_result_is_written(tmp_path, ct):
    voxels = np.full((7, 24, 32), 0.3, np.float32)
    derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    again = read_volume(one_series(tmp_path / "derived"))
    np.testing.assert_allclose(again.voxels, 0.3, atol=1e-6)


def test_a_pet_intercept_is_zero(tmp_path):
    write_phantom_series(tmp_path / "source", modality="PT")
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert float(pydicom.dcmread(written.files[0]).RescaleIntercept) == 0


def test_a_result_that_is_not_finite_is_refused(tmp_path, ct):
    voxels = np.zeros((7, 24, 32), np.float32)
    voxels[1, 2, 3] = np.nan
    with pytest.raises(errors.TaskResultInvalid, match="not finite"):
        derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))


def test_a_result_on_another_grid_is_refused(tmp_path, ct):
    elsewhere = write_phantom_series(tmp_path / "elsewhere", shape=(7, 24, 32), origin_lps_mm=(0, 0, 0))
    with pytest.raises(errors.TemplateMismatch):
        derive(tmp_path / "derived", ct.folder, result=read_volume(one_series(elsewhere.folder)))
