"""The header of a derived series is valid DICOM, its source's where it can be, and refers to its source."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dlp_lab import errors
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.task import no_report
from dlp_lab.volume import Volume
from tests.dicom.deriving import MADE_AT, derive
from tests.phantom import Phantom, write_phantom_series
from tests.test_geometry import oblique_geometry

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


@pytest.fixture
def ct(tmp_path) -> Phantom:
    return write_phantom_series(tmp_path / "source", shape=(7, 24, 32))


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


def test_the_times_of_a_pet_series_stay_for_its_decay_correction_counts_from_them(tmp_path):
    write_phantom_series(tmp_path / "source", modality="PT")
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    ds = pydicom.dcmread(written.files[0])
    assert (ds.SeriesDate, ds.SeriesTime, ds.ContentDate) == ("20240102", "101500", "20250304")


ODD_HEADERS = {
    "ImageType of one value": lambda k, ds: setattr(ds, "ImageType", "ORIGINAL"),
    "no ImageType": lambda k, ds: delattr(ds, "ImageType"),
    "no Manufacturer": lambda k, ds: setattr(ds, "Manufacturer", ""),
    "SeriesNumber of two values": lambda k, ds: ds.__setitem__("SeriesNumber", _element(0x00200011, "IS", ["1", "2"])),
    "no SeriesNumber": lambda k, ds: delattr(ds, "SeriesNumber"),
    "window without width": lambda k, ds: ds.__delattr__("WindowWidth"),
    "two centers and one width": lambda k, ds: setattr(ds, "WindowCenter", ["40", "50"]),
    "window of width 0 without center": lambda k, ds: (delattr(ds, "WindowCenter"), setattr(ds, "WindowWidth", "0")),
    "window explained but not allowed": lambda k, ds: (
        setattr(ds, "WindowWidth", "0"),
        setattr(ds, "WindowCenterWidthExplanation", "NONE"),
    ),
    "time zone that does not exist": lambda k, ds: setattr(ds, "TimezoneOffsetFromUTC", "+9900"),
    "histogram of the old pixels": lambda k, ds: setattr(ds, "HistogramSequence", [Dataset()]),
    "identity of the scanner": lambda k, ds: (setattr(ds, "DeviceUID", "1.2.3"), setattr(ds, "GantryID", "G1")),
    "a long series description": lambda k, ds: setattr(ds, "SeriesDescription", "x" * 64),
    "a long derivation": lambda k, ds: setattr(ds, "DerivationDescription", "y" * 1024),
}


def _element(tag: int, vr: str, value: object) -> pydicom.DataElement:
    return pydicom.DataElement(tag, vr, value)


@pytest.mark.parametrize("what", sorted(ODD_HEADERS))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_odd_header_gives_a_result_without_new_errors(tmp_path, what):
    phantom = write_phantom_series(tmp_path / "source", edit=ODD_HEADERS[what])
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert dciodvfy_errors(written.files[0]) <= dciodvfy_errors(phantom.files[0])
    ds = pydicom.dcmread(written.files[0])
    assert list(ds.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert "dlp-lab" in ds.DerivationDescription
    assert ds.SeriesDescription.endswith("3dblur")
    for keyword in ("HistogramSequence", "DeviceUID", "GantryID"):
        assert keyword not in ds


@pytest.mark.parametrize("what", [name for name in ODD_HEADERS if "window" in name or "centers" in name])
def test_windows_that_are_not_pairs_of_center_and_allowed_width_are_left_out(tmp_path, what):
    write_phantom_series(tmp_path / "source", edit=ODD_HEADERS[what])
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    ds = pydicom.dcmread(written.files[0])
    assert not {"WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"} & set(ds.dir())


def test_a_label_of_any_length_fits(tmp_path, ct):
    written, _, _ = derive(tmp_path / "derived", ct.folder, Derivation("job", "z" * 100, "x"))
    assert dciodvfy_errors(written.files[0]) == set()


def test_text_that_is_not_valid_in_its_character_set_is_copied_byte_for_byte(tmp_path, ct):
    for path in ct.files:
        content = path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 192")
        assert "Änne".encode("latin-1") in content
        path.write_bytes(content)
    written, _, _ = derive(tmp_path / "derived", ct.folder)
    assert "Phantom^Änne".encode("latin-1") in written.files[0].read_bytes()


def test_text_that_a_transcoding_would_change_is_refused(tmp_path):
    phantom = write_phantom_series(tmp_path / "source", transfer_syntax=pydicom.uid.ImplicitVRLittleEndian)
    for path in phantom.files:
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 192"))
    with pytest.raises(errors.Malformed, match=r"PatientName .* is not valid in its SpecificCharacterSet"):
        derive(tmp_path / "derived", tmp_path / "source")


def test_offset_tables_of_the_source_are_not_copied(tmp_path):
    def offsets(k: int, ds: Dataset) -> None:
        ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = b"\0" * 8, b"\0" * 8

    write_phantom_series(tmp_path / "source", edit=offsets)
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert [element.tag for element in pydicom.dcmread(written.files[0]).group_dataset(0x7FE0)] == [0x7FE00010]


def test_a_blur_that_wraps_round_refers_to_all_slices():
    volume = Volume(np.zeros((7, 5, 6), np.float32), oblique_geometry())
    wrapped = Gaussian3D(mode="wrap").run(volume, no_report)
    assert wrapped.reach_slices is None
