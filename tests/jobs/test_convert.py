"""HDF5 meets its template by geometry, and values are never stretched."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.volume import Volume
from tests.phantom import ORIENTATIONS, value_at, write_phantom_series


@pytest.fixture
def case(tmp_path):
    return write_phantom_series(tmp_path / "case")


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_the_phantom_goes_through_hdf5_and_dicom_without_a_position_error(tmp_path, orientation):
    """Read, HDF5, write, read: every value still tells where its voxel is."""
    phantom = write_phantom_series(tmp_path / "case", orientation=orientation)
    dlp.dicom_to_hdf5(phantom.folder, tmp_path / "v.h5", tmp_path / "v.json")
    dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", phantom.folder)
    volume = dlp.read_series(tmp_path / "out")
    positions = volume.geometry.positions_lps_mm(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
    np.testing.assert_allclose(positions, phantom.positions, atol=1e-6)
    assert np.abs(volume.voxels - value_at(positions)).max() <= 0.5


def test_a_bare_array_takes_the_place_of_the_template_and_keeps_its_values(tmp_path, case):
    array = np.random.default_rng(0).integers(-900, 2000, (7, 5, 6)).astype(np.float64)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["some/where"] = array
    dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", case.folder)
    again = dlp.read_series(tmp_path / "out")
    np.testing.assert_array_equal(again.voxels, array)
    np.testing.assert_allclose(again.geometry.affine_kji_to_lps, case.affine_kji_to_lps, atol=1e-6)


def test_another_shape_is_refused_telling_both(tmp_path, case):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.zeros((5, 6, 7))
    with pytest.raises(errors.TemplateMismatch, match=r"\(5, 6, 7\).*\(7, 5, 6\)"):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", case.folder)
    assert not (tmp_path / "out").exists()


def test_another_place_is_refused_telling_both(tmp_path, case):
    elsewhere = write_phantom_series(tmp_path / "elsewhere", origin_lps_mm=(1, 2, 3))
    dlp.dicom_to_hdf5(elsewhere.folder, tmp_path / "v.h5", tmp_path / "v.json")
    with pytest.raises(errors.TemplateMismatch, match=r"\(1.000, 2.000, 3.000\) mm.*\(-61.500, 38.250, -90.125\) mm"):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", case.folder)


def test_slices_counted_from_the_other_end_find_their_place(tmp_path, case):
    volume = dlp.read_series(case.folder)
    backwards = Volume(volume.voxels[::-1], volume.geometry.with_slices_reversed(), volume.unit, volume.modality)
    write_hdf5(backwards, tmp_path / "v.h5")
    dlp.hdf5_to_dicom(tmp_path / "v.h5", tmp_path / "out", case.folder)
    np.testing.assert_array_equal(dlp.read_series(tmp_path / "out").voxels, volume.voxels)


def test_both_files_are_written_or_neither(tmp_path, case):
    (tmp_path / "v.json").write_text("precious")
    with pytest.raises(errors.OutputExists):
        dlp.dicom_to_hdf5(case.folder, tmp_path / "v.h5", tmp_path / "v.json")
    assert not (tmp_path / "v.h5").exists()
    assert (tmp_path / "v.json").read_text() == "precious"


def test_an_output_folder_with_something_in_it_is_refused(tmp_path, case):
    dlp.dicom_to_hdf5(case.folder, tmp_path / "v.h5", tmp_path / "v.json")
    with pytest.raises(errors.OutputExists):
        dlp.hdf5_to_dicom(tmp_path / "v.h5", case.folder, case.folder)
    assert len(list(case.folder.iterdir())) == 7
