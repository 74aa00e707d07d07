"""Which folders make a series, in which order its slices lie, and what is refused by which name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dlp_lab import errors
from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.series import one_series
from tests.phantom import ORIENTATIONS, write_phantom_series


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_slices_lie_along_the_normal_whatever_their_names_and_numbers(tmp_path, orientation):
    def number_backwards(k: int, ds: Dataset) -> None:
        ds.InstanceNumber, ds.SliceLocation = 99 - 13 * (k % 4), str(-k)

    phantom = write_phantom_series(tmp_path / "a", orientation=orientation, edit=number_backwards)
    series = one_series(tmp_path)
    assert [header.path for header in series.headers] == phantom.files
    np.testing.assert_allclose(series.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-6)
    assert series.warnings == ()


def test_files_are_found_by_content_in_nested_folders_and_junk_is_counted(tmp_path):
    phantom = write_phantom_series(tmp_path / "study" / "a")
    phantom.files[3].rename(tmp_path / "study" / "holiday.jpg")
    (tmp_path / "notes.dcm").write_text("not DICOM at all")
    (tmp_path / "empty").touch()
    (tmp_path / ".hidden").write_bytes(phantom.files[0].read_bytes())
    series = one_series(tmp_path)
    assert len(series.headers) == 7
    assert series.warnings == (
        "files were ignored: 1 x empty (empty), 1 x hidden (.hidden), 1 x not DICOM (notes.dcm)",
    )


def test_a_folder_link_in_a_circle_is_followed_once(tmp_path):
    write_phantom_series(tmp_path / "a")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(one_series(tmp_path).headers) == 7


def test_slices_behind_links_are_slices_unless_the_links_leave_the_root(tmp_path):
    """Data managers keep the files elsewhere and leave links in the folder."""
    phantom = write_phantom_series(tmp_path / "root" / "case")
    for number, path in enumerate(phantom.files[3:]):
        kept = tmp_path / "store" / f"file{number}"
        kept.parent.mkdir(exist_ok=True)
        path.rename(kept)
        path.symlink_to(kept)
    assert len(one_series(tmp_path / "root" / "case").headers) == 7
    with pytest.raises(errors.SymlinkEscape, match="leads out of the root"):
        one_series(tmp_path / "root" / "case", root=tmp_path / "root")
    assert len(one_series(tmp_path / "root" / "case", root=tmp_path).headers) == 7


def test_a_linked_folder_is_looked_into_unless_it_leaves_the_root(tmp_path):
    phantom = write_phantom_series(tmp_path / "root" / "case")
    (tmp_path / "store").mkdir()
    for path in phantom.files[3:]:
        path.rename(tmp_path / "store" / path.name)
    (tmp_path / "root" / "case" / "more").symlink_to(tmp_path / "store", target_is_directory=True)
    assert len(one_series(tmp_path / "root" / "case").headers) == 7
    with pytest.raises(errors.SymlinkEscape):
        one_series(tmp_path / "root" / "case", root=tmp_path / "root")


def test_a_folder_that_cannot_be_opened_is_refused_and_not_skipped(tmp_path, monkeypatch):
    write_phantom_series(tmp_path)
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(folder):
        if Path(folder).name == "locked":  # root may open every folder, so it is not enough to take the right away
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(errors.Unreadable, match="locked cannot be opened"):
        one_series(tmp_path)


def test_earlier_results_below_the_folder_are_left_out_unless_asked_for(tmp_path):
    write_phantom_series(tmp_path / "case")
    write_phantom_series(tmp_path / "results" / "job", seed=1)
    assert len(one_series(tmp_path, skip=tmp_path / "results").headers) == 7
    assert len(one_series(tmp_path / "results" / "job", skip=tmp_path / "results").headers) == 7


def test_a_series_without_preambles_is_read_with_a_warning(tmp_path):
    phantom = write_phantom_series(tmp_path)
    for path in phantom.files:
        body = path.read_bytes()
        path.write_bytes(body[body.index(b"\x08\0\x05\0CS") :])  # from SpecificCharacterSet on
    assert phantom.files[0].read_bytes()[128:132] != b"DICM"
    assert one_series(tmp_path).warnings == ("files without the DICOM preamble (PS3.10) were read",)


def test_jitter_within_one_percent_is_a_warning_with_its_size(tmp_path):
    offsets = [0, 2.5, 5.02, 7.5, 10.0, 12.5, 15.0]
    write_phantom_series(tmp_path, slice_offsets_mm=offsets)
    assert one_series(tmp_path).warnings == (
        "slice positions deviate from an even spacing by up to 0.020 mm (slice 2)",
    )


def test_a_single_slice_takes_its_thickness_as_spacing_and_says_so(tmp_path):
    write_phantom_series(tmp_path, shape=(1, 5, 6))
    series = one_series(tmp_path)
    np.testing.assert_allclose(series.geometry.spacing_kji_mm, (2.5, 0.8, 0.5))
    assert "single slice" in series.warnings[0]


def test_direction_cosines_that_differ_in_the_fourth_digit_are_one_orientation(tmp_path):
    def jitter(k: int, ds: Dataset) -> None:
        if k == 3:
            ds.ImageOrientationPatient = [f"{float(v) + 1e-4:.6f}" for v in ds.ImageOrientationPatient]

    write_phantom_series(tmp_path, edit=jitter)
    assert len(one_series(tmp_path).headers) == 7


def remove(keyword: str):
    return lambda k, ds: delattr(ds, keyword) if k == 3 else None


def change(keyword: str, value: object, only: int | None = 3):
    return lambda k, ds: setattr(ds, keyword, value) if only in (None, k) else None


REFUSED = {
    "no position": (remove("ImagePositionPatient"), errors.NoGeometry, "ImagePositionPatient"),
    "no orientation": (remove("ImageOrientationPatient"), errors.NoGeometry, "ImageOrientationPatient"),
    "no pixel spacing": (remove("PixelSpacing"), errors.NoGeometry, "PixelSpacing"),
    "two numbers for a position": (change("ImagePositionPatient", [1, 2]), errors.Malformed, "ImagePositionPatient"),
    "pixel spacing of 0": (change("PixelSpacing", [0, 0.5]), errors.NoGeometry, "PixelSpacing"),
    "parallel directions": (
        change("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        errors.NoGeometry,
        "ImageOrientationPatient",
    ),
    "an image across the others": (
        change("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]),
        errors.MixedOrientation,
        "ImageOrientationPatient",
    ),
    "another pixel spacing": (change("PixelSpacing", [0.9, 0.5]), errors.MixedGrid, "PixelSpacing"),
    "another frame of reference": (change("FrameOfReferenceUID", "1.2.9"), errors.MixedGrid, "FrameOfReferenceUID"),
    "another unit": (change("RescaleType", "MGML"), errors.MixedGrid, "RescaleType"),
    "one UID for all images": (
        change("SOPInstanceUID", "1.2.3.4", only=None),
        errors.DuplicateConflict,
        "SOPInstanceUID",
    ),
    "another patient": (change("PatientID", "SOMEONE-ELSE"), errors.MixedGrid, "different patients"),
    "another study": (change("StudyInstanceUID", "1.2.3.4"), errors.MixedGrid, "different patients or studies"),
    "no intercept in one slice": (remove("RescaleIntercept"), errors.MixedGrid, "presence of RescaleSlope"),
    "a modality that contradicts the SOP class": (change("Modality", "MR"), errors.Malformed, "contradicts itself"),
    "a photometric interpretation of the future": (
        change("PhotometricInterpretation", "MONOCHROME3"),
        errors.NotGrayscale,
        "MONOCHROME3",
    ),
    "colour": (change("PhotometricInterpretation", "PALETTE COLOR"), errors.NotGrayscale, "PALETTE COLOR"),
    "several frames": (change("NumberOfFrames", 4), errors.UnsupportedSopClass, "4 frames"),
    "a mosaic": (change("ImageType", ["ORIGINAL", "PRIMARY", "MOSAIC"]), errors.UnsupportedSopClass, "mosaic"),
    "a modality LUT": (change("ModalityLUTSequence", [Dataset()]), errors.UnsupportedPixels, "ModalityLUTSequence"),
    "a high bit in the middle": (change("HighBit", 11), errors.UnsupportedPixels, "HighBit"),
    "12 bits allocated": (change("BitsAllocated", 12), errors.UnsupportedPixels, "12 allocated"),
    "a slope of 0": (change("RescaleSlope", "0"), errors.Malformed, "RescaleSlope"),
    "a slope that is 0 in float32": (change("RescaleSlope", "1e-50"), errors.Malformed, "RescaleSlope"),
    "an intercept without a slope": (lambda k, ds: delattr(ds, "RescaleSlope"), errors.Malformed, "without the other"),
    "40000 x 40000 pixels": (
        lambda k, ds: (setattr(ds, "Rows", 40000), setattr(ds, "Columns", 40000)),
        errors.TooLarge,
        "40000",
    ),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_read_for_certain_is_refused_by_name(tmp_path, what):
    edit, error, expected = REFUSED[what]
    write_phantom_series(tmp_path, edit=edit)
    with pytest.raises(error, match=expected):
        one_series(tmp_path)


def test_another_matrix_is_refused_by_name(tmp_path):
    write_phantom_series(tmp_path / "a", shape=(3, 5, 6), seed=1)
    write_phantom_series(
        tmp_path / "b",
        shape=(4, 5, 7),
        slice_offsets_mm=[7.5, 10, 12.5, 15],
        edit=_of_the_series_in(tmp_path / "a"),
    )
    with pytest.raises(errors.MixedGrid, match="Rows x Columns"):
        one_series(tmp_path)


def _of_the_series_in(folder: Path):
    """An edit that makes an image one of the series in `folder`, which is written by then."""

    def edit(k: int, ds: Dataset) -> None:
        other = pydicom.dcmread(next(folder.iterdir()))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, other[keyword].value)

    return edit


def _series_uid(folder: Path) -> str:
    return str(pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID)


def test_a_missing_slice_is_refused_with_index_distance_and_the_files_beside_the_gap(tmp_path):
    phantom = write_phantom_series(tmp_path)
    phantom.files[3].unlink()
    with pytest.raises(errors.MissingSlices) as caught:
        one_series(tmp_path)
    message = str(caught.value)
    assert f"1 between slice 2 ({phantom.files[2].name}) and slice 3 ({phantom.files[4].name}), 5.000 mm" in message


def test_irregular_spacing_is_refused_naming_the_slices(tmp_path):
    phantom = write_phantom_series(tmp_path, slice_offsets_mm=[0, 2.5, 5, 7.9, 10.4, 12.9, 15.4])
    with pytest.raises(errors.IrregularSpacing, match=f"slice 2 \\({phantom.files[2].name}\\)"):
        one_series(tmp_path)


def test_small_deviations_that_add_up_are_refused_naming_the_slice_that_is_farthest(tmp_path):
    offsets = [2.5 * k * (0.992 if k <= 30 else 1.008) + (0 if k <= 30 else -2.5 * 30 * 0.016) for k in range(61)]
    write_phantom_series(tmp_path, slice_offsets_mm=offsets, shape=(61, 5, 6))
    with pytest.raises(errors.IrregularSpacing, match=r"slice 30 .* lies 0\.6000 mm from its place in an even stack"):
        one_series(tmp_path)


def test_a_slice_beside_the_line_of_the_others_is_refused(tmp_path):
    def shift(k: int, ds: Dataset) -> None:
        if k == 3:
            row = np.array([float(v) for v in ds.ImageOrientationPatient[:3]])
            position = np.array([float(v) for v in ds.ImagePositionPatient]) + 0.4 * row
            ds.ImagePositionPatient = [f"{v:.8f}" for v in position]

    write_phantom_series(tmp_path, edit=shift)
    with pytest.raises(errors.IrregularSpacing, match=r"slice 3 .* lies 0\.4000 mm beside"):
        one_series(tmp_path)


@pytest.mark.parametrize("degrees", [0.2, 12, -22])
def test_gantry_tilt_is_refused_with_its_angle(tmp_path, degrees):
    write_phantom_series(tmp_path, shear_mm_per_slice=2.5 * np.tan(np.radians(degrees)))
    with pytest.raises(errors.Sheared, match=f"{abs(degrees):.2f} degrees"):
        one_series(tmp_path)


def test_two_images_at_one_place_are_refused_naming_what_tells_them_apart(tmp_path):
    def second_echo(k: int, ds: Dataset) -> None:
        _of_the_series_in(tmp_path / "a")(k, ds)
        ds.EchoTime = "80"

    write_phantom_series(tmp_path / "a", modality="MR")
    write_phantom_series(tmp_path / "b", modality="MR", edit=second_echo)
    with pytest.raises(errors.DuplicatePosition, match=r"EchoTime '12' and '80'|EchoTime '80' and '12'"):
        one_series(tmp_path)


def test_two_series_are_refused_with_a_listing(tmp_path):
    write_phantom_series(tmp_path / "a", seed=1)
    write_phantom_series(tmp_path / "b", modality="MR", seed=2, shape=(4, 5, 6))
    with pytest.raises(errors.MultipleSeries, match="--series UID") as caught:
        one_series(tmp_path)
    assert f"{_series_uid(tmp_path / 'b')} (MR, 4 files)" in str(caught.value)


def test_no_dicom_is_refused_with_what_was_found(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(errors.NoDicom, match="1 x not DICOM"):
        one_series(tmp_path)


def test_a_kind_of_image_that_is_not_read_is_refused_by_its_name(tmp_path):
    write_phantom_series(tmp_path, edit=change("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", only=None))
    with pytest.raises(errors.UnsupportedSopClass, match="7 x Secondary Capture Image Storage"):
        one_series(tmp_path)


def test_an_image_of_another_kind_beside_the_series_is_left_out_and_said_so(tmp_path):
    write_phantom_series(tmp_path / "a")
    write_phantom_series(
        tmp_path / "b", shape=(2, 5, 6), seed=2, edit=change("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", only=None)
    )
    assert one_series(tmp_path).warnings == ("2 images of other series were left out",)


def test_a_file_that_cannot_be_opened_is_refused_and_not_skipped(tmp_path):
    phantom = write_phantom_series(tmp_path)
    content = phantom.files[2].rename(tmp_path.with_name("moved away"))
    phantom.files[2].symlink_to(tmp_path / "nowhere")
    with pytest.raises(errors.Unreadable, match=phantom.files[2].name):
        one_series(tmp_path)
    assert content.exists()


@pytest.mark.parametrize("length", [200, 400, 900])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_slice_cut_off_within_its_header_is_refused_and_not_skipped(tmp_path, length):
    phantom = write_phantom_series(tmp_path)
    phantom.files[2].write_bytes(phantom.files[2].read_bytes()[:length])
    with pytest.raises(errors.DicomError, match=phantom.files[2].name):
        one_series(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_broken_dicom_file_is_refused_and_not_skipped(tmp_path):
    phantom = write_phantom_series(tmp_path)
    content = bytearray(phantom.files[2].read_bytes())
    content[132:] = b"\xff" * 60
    phantom.files[2].write_bytes(content)
    with pytest.raises(errors.Malformed, match=phantom.files[2].name):
        one_series(tmp_path)


def test_no_message_holds_the_name_or_the_id_of_the_patient(tmp_path):
    for number, (edit, error, _) in enumerate(REFUSED.values()):
        write_phantom_series(tmp_path / str(number), edit=edit)
        with pytest.raises(error) as caught:
            one_series(tmp_path / str(number))
        assert "PHANTOM-1" not in str(caught.value)
        assert "Änne" not in str(caught.value)


def test_a_scan_reads_no_pixels(tmp_path):
    phantom = write_phantom_series(tmp_path)
    for path in phantom.files:
        path.write_bytes(path.read_bytes()[:-20])
    assert len(next(iter(find_series(tmp_path).series.values()))) == 7


def test_a_modality_that_is_not_stated_is_that_of_the_sop_class(tmp_path):
    write_phantom_series(tmp_path, edit=lambda k, ds: delattr(ds, "Modality"))
    assert one_series(tmp_path).first.modality == "CT"
    assert one_series(tmp_path).first.unit == "HU"


def test_a_ct_without_rescale_has_no_unit_and_says_so(tmp_path):
    def drop(k: int, ds: Dataset) -> None:
        del ds.RescaleSlope, ds.RescaleIntercept

    write_phantom_series(tmp_path, edit=drop)
    series = one_series(tmp_path)
    assert series.first.unit is None
    assert "stored values" in series.warnings[0]


@pytest.mark.parametrize("name", ["0", "x"], ids=["first", "last"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [("RescaleSlope", "2"), ("RescaleType", "US"), ("PixelSpacing", [0.9, 0.5]), ("PatientID", "SOMEONE-ELSE")],
)
def test_a_copy_whose_values_or_place_mean_something_else_is_refused(tmp_path, keyword, value, name):
    ds = pydicom.dcmread(write_phantom_series(tmp_path).files[3])
    setattr(ds, keyword, value)
    ds.save_as(tmp_path / name)
    with pytest.raises(errors.DuplicateConflict):
        one_series(tmp_path)


def test_rounded_direction_cosines_are_made_perpendicular_with_a_warning(tmp_path):
    write_phantom_series(tmp_path, orientation=[0.71, 0.71, 0, -0.71, 0.71, 0])
    series = one_series(tmp_path)
    np.testing.assert_allclose(series.geometry.spacing_kji_mm[1:], (0.8, 0.5), atol=1e-9)
    assert "rounded" in series.warnings[0]


def test_thin_slices_may_not_vary_by_half_their_spacing(tmp_path):
    write_phantom_series(tmp_path, slice_offsets_mm=[0, 0.0295, 0.04, 0.0695, 0.08, 0.1095, 0.12])
    with pytest.raises(errors.IrregularSpacing):
        one_series(tmp_path)


def test_a_file_name_cannot_forge_a_line_of_output(tmp_path):
    phantom = write_phantom_series(tmp_path, edit=remove("PixelSpacing"))
    phantom.files[3].rename(tmp_path / "-x\nError: all is well\x1b[31m")
    with pytest.raises(errors.NoGeometry) as caught:
        one_series(tmp_path)
    assert str(caught.value).startswith("-x\\nError: all is well\\x1b[31m has no PixelSpacing")
