"""DICOM to HDF5 to DICOM, without the folder it came from: nothing changes that need not change."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from tests.contracts.header_source_contract import burdened
from tests.phantom import ORIENTATIONS, write_phantom_series
from tests.test_real_series import folder as real_folder

DERIVED = {
    *("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "InstanceNumber"),
    *("SeriesDate", "SeriesTime", "ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime"),
    *("ImageType", "DerivationDescription", "SourceImageSequence"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ContributingEquipmentSequence"),
    *("BitsAllocated", "BitsStored", "HighBit"),
}
"""What a derived series says anew."""
MOVED = {
    *("InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber"),
    *("DateOfLastCalibration", "TimeOfLastCalibration"),
}
"""What the scanner says of itself, in ContributingEquipmentSequence from now on."""
STALE = {"SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "IconImageSequence"}


def there_and_back(source: Path, work: Path) -> list[Path]:
    """The files of the new series, in slice order; the source is out of reach while they are made."""
    dlp.dicom_to_hdf5(source, work / "v.h5", work / "v.json")
    source.rename(work / "elsewhere")
    written = dlp.hdf5_to_dicom(work / "v.h5", work / "out")
    (work / "elsewhere").rename(source)
    return list(written.files)


def assert_nothing_changed(source: Path, files: list[Path]) -> None:
    headers = one_series(source).headers
    assert len(headers) == len(files)
    for header, path in zip(headers, files, strict=True):
        before, after = pydicom.dcmread(header.path), pydicom.dcmread(path)
        pixels = before.pixel_array, after.pixel_array
        np.testing.assert_array_equal(*pixels)
        verbatim = before.original_encoding == after.original_encoding
        for tag in [*before.keys()]:
            keyword = pydicom.datadict.keyword_for_tag(tag)
            if tag.is_private or keyword in {*DERIVED, *MOVED, *STALE, "PixelData"}:
                continue
            raw = before.get_item(tag), after.get_item(tag) if tag in after else None
            if raw[0].VR == "SQ" or before[tag].VR == "SQ":
                assert json_of(after[tag].value) == json_of(before[tag].value), keyword
            elif verbatim:
                assert raw[1] is not None, keyword
                assert raw[1].value == raw[0].value, keyword
            else:
                assert str(after[tag].value).strip() == str(before[tag].value).strip(), keyword
        made_up = {pydicom.datadict.keyword_for_tag(tag) for tag in set(after.keys()) - set(before.keys())}
        assert made_up <= {*DERIVED, "RescaleType"}


def json_of(sequence: list[Dataset]) -> list[object]:
    """What the items say but for private elements."""
    for item in sequence:
        item.remove_private_tags()
    return [item.to_json_dict() for item in sequence]


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_pixels_and_kept_elements_are_the_same_bit_for_bit(tmp_path, modality, orientation):
    phantom = write_phantom_series(tmp_path / "case", modality=modality, orientation=orientation)
    files = there_and_back(phantom.folder, tmp_path)
    assert_nothing_changed(phantom.folder, files)
    again = dlp.read_series(tmp_path / "out")
    np.testing.assert_array_equal(again.voxels, phantom.values)
    np.testing.assert_allclose(again.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless],
    ids=lambda uid: uid.keyword,
)
def test_decimal_strings_and_foreign_characters_stay_as_they_were_written(tmp_path, syntax: UID):
    phantom = write_phantom_series(tmp_path / "case", edit=burdened, transfer_syntax=syntax)
    files = there_and_back(phantom.folder, tmp_path)
    assert_nothing_changed(phantom.folder, files)
    ds = pydicom.dcmread(files[1])
    assert ds.get_item("TriggerTime").value == b"0.000000"
    assert ds.get_item("RepetitionTime").value == b"1.50E+03"
    assert b"\x1b$B;3ED" in ds.get_item("PatientName").value
    assert ds.PatientName == "Yamada^Tarou=山田^太郎"


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(
    "syntax", [pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRBigEndian], ids=lambda uid: uid.keyword
)
def test_another_encoding_changes_no_value(tmp_path, syntax: UID):
    phantom = write_phantom_series(tmp_path / "case", edit=burdened, transfer_syntax=syntax)
    assert_nothing_changed(phantom.folder, there_and_back(phantom.folder, tmp_path))


def test_a_slope_keeps_its_text(tmp_path):
    def wordy(k: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "1.000000", "-1024.00"

    phantom = write_phantom_series(tmp_path / "case", edit=wordy)
    files = there_and_back(phantom.folder, tmp_path)
    assert pydicom.dcmread(files[0]).get_item("RescaleSlope").value == b"1.000000"
    assert_nothing_changed(phantom.folder, files)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["<u2", "<i2", "u1", "i1"]),
    slopes=st.lists(st.decimals("0.0001", "1000", places=4), min_size=1, max_size=3),
    intercept=st.integers(-4096, 4096),
    seed=st.integers(0, 2**32 - 1),
)
def test_stored_values_of_any_type_and_slope_come_back_bit_for_bit(tmp_path, kind, slopes, intercept, seed):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    dtype, random = np.dtype(kind), np.random.default_rng(seed)
    least = min(abs(float(slope)) for slope in slopes)

    def scaled(k: int, ds: Dataset) -> None:
        info = np.iinfo(dtype)
        ds.PixelData = random.integers(info.min, info.max, (5, 6), dtype, endpoint=True).tobytes()
        ds.BitsAllocated = ds.BitsStored = dtype.itemsize * 8
        ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(dtype.kind == "i")
        ds.RescaleSlope = str(slopes[k % len(slopes)])
        # float32 values hold about 2**24 steps: an intercept far beyond that hides them
        ds.RescaleIntercept = str(int(intercept * min(1, least * 100)))

    phantom = write_phantom_series(tmp_path / "case", edit=scaled)
    for header, path in zip(one_series(phantom.folder).headers, there_and_back(phantom.folder, tmp_path), strict=True):
        before, after = pydicom.dcmread(header.path), pydicom.dcmread(path)
        np.testing.assert_array_equal(after.pixel_array.astype(int), before.pixel_array.astype(int))
        assert (float(after.RescaleSlope), after.RescaleIntercept) == (
            float(before.RescaleSlope),
            before.RescaleIntercept,
        )


def test_each_slice_refers_to_the_image_it_comes_from_and_to_no_other(tmp_path):
    phantom = write_phantom_series(tmp_path / "case")
    for before, after in zip(phantom.files, there_and_back(phantom.folder, tmp_path), strict=True):
        (reference,) = pydicom.dcmread(after).SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == pydicom.dcmread(before).SOPInstanceUID


def test_private_elements_are_in_the_file_though_not_in_the_derived_series(tmp_path):
    phantom = write_phantom_series(tmp_path / "case")
    files = there_and_back(phantom.folder, tmp_path)
    with h5py.File(tmp_path / "v.h5") as file:
        assert b"private and stale after processing" in file["entry/headers/pieces"][()].tobytes()
    assert not [element for element in pydicom.dcmread(files[0]).iterall() if element.tag.is_private]


def test_a_template_rules_over_the_stored_headers(tmp_path):
    phantom = write_phantom_series(tmp_path / "case")
    other = write_phantom_series(
        tmp_path / "other", edit=lambda k, ds: ds.update({"PatientID": "OTHER", "FrameOfReferenceUID": "1.2.3"})
    )
    same = write_phantom_series(tmp_path / "same", edit=lambda k, ds: setattr(ds, "PatientID", "SAME"))
    dlp.dicom_to_hdf5(phantom.folder, tmp_path / "v.h5", tmp_path / "v.json")
    with pytest.raises(errors.TemplateMismatch):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", other.folder)
    for path in same.files:
        ds = pydicom.dcmread(path)
        ds.FrameOfReferenceUID = pydicom.dcmread(phantom.files[0]).FrameOfReferenceUID
        ds.save_as(path)
    written = dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", same.folder)
    assert pydicom.dcmread(written.files[0]).PatientID == "SAME"


@pytest.mark.parametrize("foreign", [True, False], ids=["foreign file", "headers none"])
def test_without_headers_and_template_the_refusal_names_both_remedies(tmp_path, foreign):
    phantom = write_phantom_series(tmp_path / "case")
    if foreign:
        with h5py.File(tmp_path / "v.h5", "w") as file:
            file["v"] = np.zeros((7, 5, 6))
    else:
        dlp.dicom_to_hdf5(phantom.folder, tmp_path / "v.h5", tmp_path / "v.json", headers="none")
    with pytest.raises(errors.Hdf5Error, match=r"v.h5 holds no DICOM headers.*\(-d\).*\(--headers full\)"):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_changed_voxels_and_changed_headers_are_refused(tmp_path):
    phantom = write_phantom_series(tmp_path / "case")
    dlp.dicom_to_hdf5(phantom.folder, tmp_path / "v.h5", tmp_path / "v.json")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file["entry/volume/image"][3, 2, 1] += 1
    with pytest.raises(
        errors.Hdf5Error, match=r"v.h5: the values of entry/volume/image are not those that were written \(SHA-256"
    ):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file["entry/headers/slice_pieces"][5] = file["entry/headers/slice_pieces"][4]
        file["entry/volume/image"][3, 2, 1] -= 1
    with pytest.raises(errors.Hdf5Error, match=r"v.h5: the headers are not those"):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out")


@pytest.mark.parametrize("name", ["ct_head_invesalius", "mr_oblique_hitachi_jp", "mr_nonsquare_pmod", "mr_rle_siemens"])
def test_a_real_series_comes_back_bit_for_bit(tmp_path, name):
    source = tmp_path / "case"
    shutil.copytree(real_folder(name), source)
    assert_nothing_changed(source, there_and_back(source, tmp_path))


# --- what is told of the patient --------------------------------------------------------------------------------------

SENTINEL = "ZZPHI"
_CODES = {"Modality", "ImageType", "PatientPosition", "PhotometricInterpretation", "SpecificCharacterSet"}


def telling(k: int, ds: Dataset) -> None:
    """The sentinel in every text, also in sequences and private elements."""
    block = ds.private_block(0x0029, "PHANTOM", create=True)
    block.add_new(0x01, "UN", SENTINEL.encode())
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "?"
    ds.ProcedureCodeSequence = [item]
    for keyword, vr in (("RescaleType", "LO"), ("PatientComments", "LT"), ("ProtocolName", "LO"), ("PatientAge", "AS")):
        ds.add_new(keyword, vr, SENTINEL)
    for keyword in ("OtherPatientNames", "OperatorsName", "StationName", "ImageComments", "ScanOptions"):
        setattr(ds, keyword, SENTINEL)
    for element in ds.iterall():
        free = element.VR in ("PN", "LO", "SH", "LT", "ST", "UT", "AE", "AS", "CS") and element.keyword not in _CODES
        if free and not element.tag.is_private_creator:
            element.value = SENTINEL


@pytest.fixture
def told(tmp_path) -> Path:
    with pytest.warns(UserWarning, match="Invalid value"):
        return write_phantom_series(tmp_path / "case", edit=telling).folder


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_the_json_tells_nothing_of_the_patient_unless_asked(tmp_path, told):
    dlp.dicom_to_hdf5(told, tmp_path / "v.h5", tmp_path / "v.json")
    text = (tmp_path / "v.json").read_text()
    assert SENTINEL not in text
    assert '"KVP": 120' in text
    dlp.dicom_to_hdf5(told, tmp_path / "w.h5", tmp_path / "w.json", keep_phi=True)
    assert SENTINEL in (tmp_path / "w.json").read_text()


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_without_headers_the_hdf5_file_tells_nothing_of_the_patient(tmp_path, told):
    dlp.dicom_to_hdf5(told, tmp_path / "v.h5", tmp_path / "v.json", headers="none")
    assert SENTINEL.encode() not in (tmp_path / "v.h5").read_bytes()
    with h5py.File(tmp_path / "v.h5") as file:
        assert file["entry"].attrs["headers"] == "none"
        assert "headers" not in file["entry"]
        assert len(file["entry/slices/sop_instance_uid"]) == 7
    dlp.dicom_to_hdf5(told, tmp_path / "w.h5", tmp_path / "w.json")
    with h5py.File(tmp_path / "w.h5") as file:
        assert file["entry"].attrs["headers"] == "full"
        assert SENTINEL.encode() in file["entry/headers/common_json"][()]


def test_both_files_of_a_job_become_dicom_again_by_their_own_headers(workspace):
    job = Job(
        uid="0" * 32,
        task="3dblur",
        input_dir="dicom_data",
        params={"sigma_mm": 1.0},
        keep_hdf5=True,
        state="running",
        submitted_at="2024-01-02T03:04:05.678Z",
    )
    run_job(workspace, job, lambda fraction, message: None)
    folder = workspace.job_folder(job.uid)
    source, result = dlp.read_series(workspace.root / "dicom_data"), dlp.read_series(folder)
    for name, volume, references in (("source", source, 1), ("result", result, 7)):
        written = dlp.hdf5_to_dicom(folder / f"{name}.h5", workspace.root / name)
        again = dlp.read_series(workspace.root / name)
        np.testing.assert_array_equal(again.voxels, volume.voxels)
        assert len(pydicom.dcmread(written.files[0]).SourceImageSequence) == references
    assert "Phantom^" not in (folder / "source.json").read_text()
