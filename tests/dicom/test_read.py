"""Every voxel has the value that the phantom has at the voxel's place."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dlp_lab import errors
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from tests.phantom import ORIENTATIONS, value_at, write_phantom_series


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_every_voxel_is_at_its_place_and_has_its_value(tmp_path, modality, orientation):
    phantom = write_phantom_series(tmp_path, modality=modality, orientation=orientation)
    volume = read_volume(one_series(tmp_path))
    np.testing.assert_allclose(volume.voxels, phantom.values, atol=1e-4)
    index = np.moveaxis(np.indices(volume.geometry.shape), 0, -1)
    positions = volume.geometry.positions_lps_mm(index)
    np.testing.assert_allclose(positions, phantom.positions, atol=1e-6)
    assert np.abs(volume.voxels - value_at(positions)).max() <= 0.5 + 1e-4
    assert volume.unit == {"CT": "HU", "MR": None, "PT": "BQML"}[modality]
    assert volume.voxels.dtype == (np.float32 if modality == "PT" else np.int16)


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.name,
)
def test_the_transfer_syntax_makes_no_difference(tmp_path, transfer_syntax):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(4, 40, 48), transfer_syntax=transfer_syntax)
    assert pydicom.dcmread(phantom.files[0]).file_meta.TransferSyntaxUID == transfer_syntax
    np.testing.assert_array_equal(read_volume(one_series(tmp_path)).voxels, phantom.values)


def test_bits_above_those_stored_are_cut_off_and_the_sign_is_extended(tmp_path):
    def twelve_bits_with_an_overlay(k: int, ds: Dataset) -> None:
        stored = np.frombuffer(ds.PixelData, "<i2")
        ds.BitsStored, ds.HighBit = 12, 11
        ds.PixelData = ((stored & 0x0FFF) | 0x5000).astype("<u2").tobytes()

    phantom = write_phantom_series(tmp_path, modality="MR", edit=twelve_bits_with_an_overlay)
    assert phantom.values.min() < 0
    np.testing.assert_array_equal(read_volume(one_series(tmp_path)).voxels, phantom.values)


def test_a_bit_above_those_stored_is_cut_off_where_it_makes_a_value_too_small(tmp_path):
    def twelve_bits_below_a_sign(k: int, ds: Dataset) -> None:
        stored = np.frombuffer(ds.PixelData, "<i2")
        ds.BitsStored, ds.HighBit = 12, 11
        ds.PixelData = (stored - 4096).astype("<i2").tobytes()

    phantom = write_phantom_series(tmp_path, modality="MR", edit=twelve_bits_below_a_sign)
    volume = read_volume(one_series(tmp_path))
    np.testing.assert_array_equal(volume.voxels, phantom.values)
    assert any("BitsStored" in warning for warning in volume.warnings)


def test_values_below_16_bits_are_kept_in_a_wider_type(tmp_path):
    def lower(k: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-32700"

    phantom = write_phantom_series(tmp_path, modality="MR", edit=lower)
    assert phantom.values.min() < -68
    volume = read_volume(one_series(tmp_path))
    assert volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(volume.voxels, phantom.values - 32700)


def test_monochrome1_keeps_its_values_and_says_so(tmp_path):
    phantom = write_phantom_series(tmp_path, edit=lambda k, ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
    volume = read_volume(one_series(tmp_path))
    np.testing.assert_array_equal(volume.voxels, phantom.values)
    assert "MONOCHROME1" in volume.warnings[0]


def test_values_beyond_16_bits_are_kept_in_a_wider_type(tmp_path):
    def lift(k: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "40000"

    phantom = write_phantom_series(tmp_path, edit=lift)
    volume = read_volume(one_series(tmp_path))
    assert volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(volume.voxels, phantom.values + 1024 + 40000)


def test_unsigned_16_bits_do_not_wrap(tmp_path):
    def unsigned(k: int, ds: Dataset) -> None:
        ds.PixelRepresentation = 0
        ds.PixelData = (np.frombuffer(ds.PixelData, "<i2").astype(np.int64) + 40000).astype("<u2").tobytes()

    phantom = write_phantom_series(tmp_path, modality="MR", edit=unsigned)
    np.testing.assert_array_equal(read_volume(one_series(tmp_path)).voxels, phantom.values + 40000)


def test_a_fractional_slope_gives_real_values(tmp_path):
    def scaled(k: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "0.25", "-3.5"

    phantom = write_phantom_series(tmp_path, edit=scaled)
    expected = (phantom.values + 1024) * 0.25 - 3.5
    np.testing.assert_allclose(read_volume(one_series(tmp_path)).voxels, expected, atol=1e-4)


def test_truncated_pixels_are_refused_naming_the_file(tmp_path):
    phantom = write_phantom_series(tmp_path)
    phantom.files[4].write_bytes(phantom.files[4].read_bytes()[:-20])
    with pytest.raises(errors.Truncated, match=phantom.files[4].name):
        read_volume(one_series(tmp_path))


@pytest.mark.parametrize("shape", [(3, 5, 6), (3, 5, 7)], ids=["even", "odd"])
def test_bytes_in_big_endian_words_are_read_as_pydicom_reads_them(tmp_path, shape):
    def bytes_of_8_bits(k: int, ds: Dataset) -> None:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = np.arange(shape[1] * shape[2] + shape[1] * shape[2] % 2, dtype=np.uint8).tobytes()

    phantom = write_phantom_series(
        tmp_path, modality="MR", shape=shape, transfer_syntax=ExplicitVRBigEndian, edit=bytes_of_8_bits
    )
    expected = [pydicom.dcmread(path).pixel_array for path in phantom.files]
    np.testing.assert_array_equal(read_volume(one_series(tmp_path)).voxels, expected)


def test_the_first_broken_slice_is_named(tmp_path):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(5, 40, 48), transfer_syntax=JPEG2000Lossless)
    for path in (phantom.files[3], phantom.files[1]):
        path.write_bytes(path.read_bytes().replace(b"\xff\x4f\xff\x51", bytes(4)))
    with pytest.raises(errors.Malformed, match=f"^{phantom.files[1].name}: "):
        read_volume(one_series(tmp_path))


def test_a_file_that_vanished_is_told_as_that_and_not_as_broken(tmp_path):
    phantom = write_phantom_series(tmp_path)
    series = one_series(tmp_path)
    phantom.files[4].unlink()
    with pytest.raises(errors.Unreadable, match=f"{phantom.files[4].name} could not be read .No such file"):
        read_volume(series)


def test_broken_compressed_pixels_are_refused_naming_the_file(tmp_path):
    phantom = write_phantom_series(tmp_path, modality="MR", shape=(3, 40, 48), transfer_syntax=JPEG2000Lossless)
    content = bytearray(phantom.files[1].read_bytes())
    start = content.index(b"\xff\x4f\xff\x51")
    content[start + 4 : start + 60] = b"\x00" * 56
    phantom.files[1].write_bytes(content)
    with pytest.raises(errors.Malformed, match=phantom.files[1].name):
        read_volume(one_series(tmp_path))


def test_a_transfer_syntax_without_decoder_is_refused_by_its_name(tmp_path):
    phantom = write_phantom_series(tmp_path)
    ds = pydicom.dcmread(phantom.files[0])
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.4.54")
    ds.PixelData = pydicom.encaps.encapsulate([b"\0" * 60])
    ds["PixelData"].VR = "OB"
    ds.save_as(phantom.files[0])
    with pytest.raises(errors.NoDecoder, match=r"JPEG Spectral Selection, Non-Hierarchical .Process 7 and 9"):
        one_series(tmp_path)


def test_progress_grows_from_0_to_1(tmp_path):
    write_phantom_series(tmp_path)
    seen: list[float] = []
    read_volume(one_series(tmp_path), lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
