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
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dlp_lab import errors
from dlp_lab.cli import main
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.independent_reading import IndependentReading, read_with_dcm2niix
from dlp_lab.conformance.programs import dcentvfy_errors, dciodvfy_errors
from dlp_lab.dicom.options import OUTPUT_FORMS, OutputForm, ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_derived import refuse_form, write_derived
from tests.dicom.deriving import BLUR, blurred
from tests.dicom.one_file_forms import FORMS, derive, frames_of
from tests.phantom import ORIENTATIONS, write_phantom_series

CASES = [(modality, orientation) for modality in ("CT", "MR", "PT") for orientation in sorted(ORIENTATIONS)]


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


def test_the_command_line_offers_the_forms_that_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["run", "3dblur", "x", "--output-form", "pdf"])
    said = capsys.readouterr().err
    assert [form for form in OUTPUT_FORMS if form in said] == list(OUTPUT_FORMS)


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
