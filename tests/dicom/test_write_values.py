"""A derived series has the values of the result, at its place."""

from __future__ import annotations

import resource
import tracemalloc

import numpy as np
import pydicom
import pytest
import SimpleITK

from dlp_lab import errors
from dlp_lab.conformance.programs import dciodvfy_errors
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import write_derived_series
from dlp_lab.volume import Volume
from tests.dicom.deriving import BLUR, derive
from tests.phantom import ORIENTATIONS, Phantom, write_phantom_series
from tools.conformance import blur_and_compare


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


@pytest.mark.parametrize("greatest", [0.0009, 1e-12])
def test_values_that_are_all_near_0_are_not_lost(tmp_path, ct, greatest):
    voxels = np.linspace(0, greatest, 7 * 24 * 32).reshape(7, 24, 32)
    written, _, _ = derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    stored = np.stack([pydicom.dcmread(path).pixel_array for path in written.files])
    real = stored * written.rescale.slope + written.rescale.intercept
    np.testing.assert_allclose(real, voxels, atol=greatest / 60000)


def test_a_result_in_another_unit_is_refused(tmp_path, ct):
    wrong = Volume(np.zeros((7, 24, 32)), one_series(ct.folder).geometry, "BQML", "PT")
    with pytest.raises(errors.TemplateMismatch, match="BQML, those of the series in HU"):
        derive(tmp_path / "derived", ct.folder, result=wrong)


def test_values_that_could_not_be_read_again_are_refused(tmp_path, ct):
    with pytest.raises(errors.TaskResultInvalid, match="beyond 1e"):
        derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, np.full((7, 24, 32), 1e20)))


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_writing_makes_no_copy_of_the_volume(tmp_path, modality, dtype):
    write_phantom_series(tmp_path / "source", modality=modality, shape=(40, 128, 160))
    series = one_series(tmp_path / "source")
    volume = read_volume(series)
    volume = volume.with_voxels(volume.voxels.astype(dtype))
    (tmp_path / "derived").mkdir()
    tracemalloc.start()
    write_derived_series(series, volume, tmp_path / "derived", BLUR)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < volume.voxels.nbytes / 2


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int32, np.int64, np.uint64, ">i2", np.float64])
def test_values_of_every_type_come_back(tmp_path, ct, dtype):
    voxels = np.arange(7 * 24 * 32).reshape(7, 24, 32)[:, ::-1].astype(dtype)
    derive(tmp_path / "derived", ct.folder, result=constant_source_values(ct, voxels))
    np.testing.assert_array_equal(read_volume(one_series(tmp_path / "derived")).voxels, voxels)


def test_a_file_that_the_disk_takes_only_a_part_of_is_an_error(tmp_path, ct):
    result = read_volume(one_series(ct.folder))
    size = ct.files[0].stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            derive(tmp_path / "derived", ct.folder, result=result)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
