from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from dlp_lab import errors
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import read_hdf5, write_hdf5
from dlp_lab.store.metadata import volume_metadata
from dlp_lab.volume import Volume
from tests.test_geometry import oblique_geometry


@pytest.fixture
def volume() -> Volume:
    voxels = np.random.default_rng(0).integers(-1024, 3000, (7, 5, 6), dtype=np.int16)
    return Volume(voxels, oblique_geometry(), "HU", "CT", "1.2.3.4")


def test_a_volume_comes_back_as_it_went(tmp_path, volume):
    write_hdf5(volume, tmp_path / "v.h5")
    again = read_hdf5(tmp_path / "v.h5")
    assert isinstance(again, Volume)
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    assert again.voxels.dtype == volume.voxels.dtype
    np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, volume.geometry.affine_kji_to_lps)
    assert again.geometry.frame_of_reference_uid == "1.2.3"
    assert (again.unit, again.modality, again.source_series_uid) == ("HU", "CT", "1.2.3.4")


def test_what_is_not_known_stays_unknown(tmp_path, volume):
    bare = Volume(volume.voxels, Geometry((7, 5, 6), volume.geometry.affine_kji_to_lps))
    write_hdf5(bare, tmp_path / "v.h5")
    again = read_hdf5(tmp_path / "v.h5")
    assert isinstance(again, Volume)
    assert again.geometry.frame_of_reference_uid is None
    assert (again.unit, again.modality) == (None, None)


def test_plain_h5py_finds_the_voxels_as_nexus_data_with_axes_in_mm(tmp_path, volume):
    write_hdf5(volume, tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5") as file:
        data = file[file.attrs["default"]]
        data = data[data.attrs["default"]]
        assert data.attrs["NX_class"] == "NXdata"
        np.testing.assert_array_equal(data[data.attrs["signal"]], volume.voxels)
        assert data[data.attrs["signal"]].id.get_offset() is not None, "stored contiguously"
        assert [data[name][1] for name in data.attrs["axes"]] == pytest.approx([2.5, 0.8, 0.5])


def test_minmax_stores_0_to_1_and_is_undone_on_reading(tmp_path, volume):
    write_hdf5(volume, tmp_path / "v.h5", normalize="minmax")
    with h5py.File(tmp_path / "v.h5") as file:
        stored = file["entry/volume/image"][()]
    assert stored.dtype == np.float32
    assert (stored.min(), stored.max()) == (0, 1)
    again = read_hdf5(tmp_path / "v.h5")
    np.testing.assert_allclose(again.voxels, volume.voxels, atol=1e-3)


def test_minmax_of_a_constant_volume_is_undone_too(tmp_path, volume):
    constant = volume.with_voxels(np.full((7, 5, 6), -3, np.int16))
    write_hdf5(constant, tmp_path / "v.h5", normalize="minmax")
    np.testing.assert_array_equal(read_hdf5(tmp_path / "v.h5").voxels, constant.voxels)


def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path, volume, monkeypatch):
    (tmp_path / "v.h5").write_text("precious")
    with pytest.raises(errors.OutputExists):
        write_hdf5(volume, tmp_path / "v.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["v.h5"]
    assert (tmp_path / "v.h5").read_text() == "precious"

    def no_space(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", no_space)
    with pytest.raises(OSError, match="No space"):
        write_hdf5(volume, tmp_path / "w.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["v.h5"]


def test_a_foreign_file_with_one_3d_dataset_gives_a_bare_array(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["deep/down"] = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        file["flat"] = np.zeros((3, 3))
    array = read_hdf5(tmp_path / "v.h5")
    assert isinstance(array, np.ndarray)
    assert array.shape == (2, 3, 4)


def test_a_foreign_file_with_two_3d_datasets_is_refused_naming_them(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["one"], file["two"] = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    with pytest.raises(errors.Hdf5Error, match="2 3-D datasets of numbers: one, two"):
        read_hdf5(tmp_path / "v.h5")


def test_data_that_lies_in_other_files_is_refused(tmp_path):
    (tmp_path / "secret").write_bytes(b"x" * 8)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("v", (2, 2, 2), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
    with pytest.raises(errors.Hdf5Error, match="other files"):
        read_hdf5(tmp_path / "v.h5")


def test_what_is_no_hdf5_file_is_refused(tmp_path):
    (tmp_path / "v.h5").write_text("no")
    with pytest.raises(errors.Hdf5Error, match="not a readable HDF5"):
        read_hdf5(tmp_path / "v.h5")
    with pytest.raises(errors.Hdf5Error, match="does not exist"):
        read_hdf5(tmp_path / "absent.h5")


def test_a_newer_format_is_refused(tmp_path, volume):
    write_hdf5(volume, tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(errors.Hdf5Error, match="version 99"):
        read_hdf5(tmp_path / "v.h5")


def test_a_file_of_ours_that_lacks_a_part_is_refused(tmp_path, volume):
    write_hdf5(volume, tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        del file["entry/geometry"]
    with pytest.raises(errors.Hdf5Error, match="lacks a part"):
        read_hdf5(tmp_path / "v.h5")


def test_the_json_tells_spacings_in_the_order_of_the_axes(volume):
    metadata = volume_metadata(volume)
    assert metadata["modality"] == "CT"
    assert metadata["spacing"] == pytest.approx([2.5, 0.8, 0.5])
    assert metadata["spacing_slices"] == pytest.approx(2.5)
    assert metadata["spacing_pixel"] == pytest.approx([0.8, 0.5])


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_a_full_disk_is_an_error_that_leaves_nothing_and_does_not_end_the_process(tmp_path, compress):
    # in a process of its own, which the HDF5 library would end; a write beyond a limit fails as it does on a full disk
    program = f"""
import resource, signal
from pathlib import Path

from dlp_lab.store.hdf5 import write_hdf5
from tests.store.samples import volume

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (0, 100, 2_000, 5_000, 7_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_hdf5(volume(), Path("volume.h5"), compress={compress!r})
    except OSError as error:
        print(error.strerror)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == 5 * "File too large\n"
    assert list(tmp_path.iterdir()) == []
