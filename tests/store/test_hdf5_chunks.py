"""What is compressed is packed and unpacked here, as the HDF5 library does it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import h5py
import hdf5plugin
import numpy as np
import pytest
from h5py import h5z
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlp_lab import errors
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import read_hdf5, write_hdf5
from dlp_lab.store.hdf5_chunks import FILTER_ZSTD, filters_of
from dlp_lab.store.hdf5_guard import opened_guarded
from dlp_lab.volume import Volume
from tests.store.samples import IMAGE, SHAPE, of_shape, volume

assert hdf5plugin.FILTERS["zstd"] == FILTER_ZSTD  # its import registers what h5py reads with


# ---- our own ---------------------------------------------------------------------------------------------------------


PACKINGS = ("gzip", "zstd")


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "<u4", "<f4", ">f8", "<f2"])
@pytest.mark.parametrize("shape", [(7, 5, 6), (16, 128, 128), (33, 129, 257), (1, 300, 2)])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_compressed_volume_is_read_alike_by_us_and_by_h5py_with_the_plug_in_of_zstd(tmp_path, shape, dtype, packing):
    written = of_shape(shape, dtype)
    write_hdf5(written, tmp_path / "v.h5", compress=packing)
    read = read_hdf5(tmp_path / "v.h5").voxels
    np.testing.assert_array_equal(read, written.voxels)
    assert read.dtype == written.voxels.dtype
    with h5py.File(tmp_path / "v.h5") as file:
        image = file[IMAGE]
        np.testing.assert_array_equal(image[()], written.voxels)
        assert (image.shuffle, image.fillvalue) == (True, 0)
        assert filters_of(image) == [h5z.FILTER_SHUFFLE, {"gzip": h5z.FILTER_DEFLATE, "zstd": FILTER_ZSTD}[packing]]


def test_neither_writing_nor_reading_zstd_needs_the_plug_in_and_other_programs_are_told_of_it(tmp_path):
    """In a process that has none."""
    program = """
import sys
import h5py
from dlp_lab.store.hdf5 import read_hdf5, write_hdf5
from tests.store.samples import volume

write_hdf5(volume(), sys.argv[1], compress="zstd")
assert (read_hdf5(sys.argv[1]).voxels == volume().voxels).all()
assert "hdf5plugin" not in sys.modules
with h5py.File(sys.argv[1]) as file:
    try:
        file["entry/volume/image"][()]
    except OSError:
        print("no plug-in")
"""
    program = program.replace("sys.argv[1]", f"__import__('pathlib').Path({str(tmp_path / 'v.h5')!r})")
    environment = {**os.environ, "HDF5_PLUGIN_PATH": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout == "no plug-in\n"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("value", [0, 1])
def test_a_volume_of_one_value_is_packed_small_and_read(tmp_path, packing, value):
    shape = (33, 1024, 1024)
    same = Volume(np.full(shape, value, np.uint8), Geometry(shape, volume().geometry.affine_kji_to_lps))
    write_hdf5(same, tmp_path / "v.h5", compress=packing)
    assert (tmp_path / "v.h5").stat().st_size < same.voxels.nbytes / 200
    np.testing.assert_array_equal(read_hdf5(tmp_path / "v.h5").voxels, same.voxels)


@pytest.mark.parametrize("packing", PACKINGS)
def test_compressing_makes_the_file_smaller_and_changes_the_version(tmp_path, packing):
    geometry = Geometry((40, 200, 300), volume().geometry.affine_kji_to_lps)
    smooth = Volume(np.random.default_rng(0).normal(40, 20, geometry.shape).astype(np.int16), geometry)
    write_hdf5(smooth, tmp_path / "plain.h5")
    write_hdf5(smooth, tmp_path / "packed.h5", compress=packing)
    assert (tmp_path / "packed.h5").stat().st_size < 0.6 * (tmp_path / "plain.h5").stat().st_size
    versions = [h5py.File(tmp_path / name).attrs["format_version"] for name in ("plain.h5", "packed.h5")]
    assert versions == [2, 3]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_normalised_volume_is_compressed_too(tmp_path, packing):
    write_hdf5(volume(), tmp_path / "v.h5", "minmax", compress=packing)
    np.testing.assert_allclose(read_hdf5(tmp_path / "v.h5").voxels, volume().voxels, atol=1e-3)


def test_views_of_other_arrays_are_written_as_they_look(tmp_path):
    for name, compress in (("v.h5", "none"), ("w.h5", "gzip"), ("x.h5", "zstd")):
        turned = volume().with_voxels(volume().voxels[::-1, ::-1, ::-1])
        write_hdf5(turned, tmp_path / name, compress=compress)
        np.testing.assert_array_equal(read_hdf5(tmp_path / name).voxels, turned.voxels)


@pytest.mark.parametrize(
    ("compress", "refusing"), [("none", "h5py.Dataset.write_direct"), ("gzip", "dlp_lab.store.hdf5_packing._deflate")]
)
def test_no_thread_outlives_a_file_that_could_not_be_written(tmp_path, monkeypatch, compress, refusing):
    """Not even while the error is looked at, which keeps all that was at work."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(refusing, refuse)
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="no space left") as caught:
        write_hdf5(of_shape((64, 256, 256), "<i2"), tmp_path / "v.h5", compress=compress)
    assert caught.traceback
    assert set(threading.enumerate()) <= before


def test_another_way_to_compress_is_refused_naming_those_there_are(tmp_path):
    with pytest.raises(errors.BadParameters, match="compress: expected one of none, gzip, zstd; got 'lzf'"):
        write_hdf5(volume(), tmp_path / "v.h5", compress="lzf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("packing", PACKINGS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_no_changed_bit_of_a_compressed_file_changes_values_or_place_unnoticed(tmp_path, packing, fraction):
    path = tmp_path / "whole.h5"
    if not path.exists():
        write_hdf5(volume(), path, compress=packing)
    content = bytearray(path.read_bytes())
    place = int(fraction * len(content) * 8)
    content[place // 8] ^= 1 << place % 8
    (tmp_path / "mutant.h5").write_bytes(content)
    try:
        read = read_hdf5(tmp_path / "mutant.h5")
    except errors.DlpError:
        return
    assert isinstance(read, Volume)
    np.testing.assert_array_equal(read.voxels, volume().voxels)
    np.testing.assert_array_equal(read.geometry.affine_kji_to_lps, volume().geometry.affine_kji_to_lps)


# ---- files of the HDF5 library ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [None, 1, 9])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f4", "<i8"])
def test_what_the_library_packed_is_unpacked_alike(tmp_path, dtype, shuffle, checksum, level):
    """Also odd numbers of bytes, values that cannot be packed, and checksums of zeros and of ones alone."""
    noise = np.frombuffer(np.random.default_rng(2).bytes(5 * 7 * 3 * np.dtype(dtype).itemsize), np.uint8)
    options = {"shuffle": shuffle, "fletcher32": checksum, "compression": level and "gzip", "compression_opts": level}
    for values in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        array = values.view(dtype).reshape(5, 7, 3)
        for chunks in ((5, 7, 3), (2, 3, 3), (1, 1, 1)):
            with h5py.File(tmp_path / "v.h5", "w") as file:
                file.create_dataset("v", data=array, chunks=chunks, **options)
            with opened_guarded(tmp_path / "v.h5") as opened:
                found = opened.array("v")
            assert (found.dtype, found.tobytes()) == (array.dtype, array.tobytes())


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f4", "<i8"])
def test_what_the_plug_in_of_zstd_packed_is_unpacked_alike(tmp_path, dtype, checksum):
    values = np.frombuffer(np.random.default_rng(2).bytes(5 * 7 * 3 * np.dtype(dtype).itemsize), dtype).reshape(5, 7, 3)
    for shuffle in (False, True):
        with h5py.File(tmp_path / "v.h5", "w") as file:
            options = {"shuffle": shuffle, "fletcher32": checksum, **hdf5plugin.Zstd(clevel=3)}
            file.create_dataset("v", data=values, chunks=(2, 3, 3), **options)
        with opened_guarded(tmp_path / "v.h5") as opened:
            found = opened.array("v")
        assert (found.dtype, found.tobytes()) == (values.dtype, values.tobytes())


def test_a_wrong_checksum_is_refused(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("v", data=np.arange(210.0).reshape(SHAPE), chunks=SHAPE, fletcher32=True)
        place = file["v"].id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "v.h5").read_bytes())
    content[place + 9] ^= 1
    (tmp_path / "v.h5").write_bytes(content)
    with pytest.raises(errors.Hdf5Error, match="checksum of a chunk"):
        read_hdf5(tmp_path / "v.h5")


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}, {}])
def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path, options):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        image = file.create_dataset("v", (6, 8, 8), "i2", chunks=(1, 8, 8), fillvalue=-1024, **options)
        image[1:] = np.random.default_rng(0).integers(0, 2000, (5, 8, 8))
        expected = image[()]
    found = read_hdf5(tmp_path / "v.h5")
    np.testing.assert_array_equal(found, expected)
    assert (found[0] == -1024).all()


def test_chunks_that_hang_over_the_end_are_cut_off(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        data = np.arange(7 * 5 * 6).reshape(SHAPE)
        file.create_dataset("v", data=data, chunks=(4, 4, 4), maxshape=(None,) * 3, compression="gzip")
    np.testing.assert_array_equal(read_hdf5(tmp_path / "v.h5"), data)
