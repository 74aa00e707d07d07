"""Jobs and HDF5 files of enhanced multi-frame sources, from one end to the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.cli import main
from dlp_lab.store.hdf5 import read_hdf5_headers
from tests.dicom.quirks.frames import halves, two_stacks, undefined_lengths
from tests.enhanced_phantom import write_enhanced_phantom


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_a_blur_of_a_multi_frame_file_is_a_multi_frame_file(root, modality, capsys):
    phantom = write_enhanced_phantom(root / "case" / "a.dcm", modality=modality)
    assert main(["run", "3dblur", "case", "--sigma-mm", "2"]) == 0
    output = Path(capsys.readouterr().out.strip())
    assert sorted(path.name for path in output.iterdir()) == ["0001.dcm", "job.json"]
    blurred = dlp.read_series(output)
    sigma = [2 / mm for mm in blurred.geometry.spacing_kji_mm]
    expected = ndimage.gaussian_filter(phantom.values.astype(np.float32), sigma, mode="nearest", truncate=4)
    np.testing.assert_allclose(blurred.voxels, expected, atol=0.6)
    np.testing.assert_allclose(blurred.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-9)
    record = json.loads((output / "job.json").read_text())
    assert record["result"]["files"] == ["0001.dcm"]
    assert record["source"]["frame_numbers"] == [frame + 1 for frame in phantom.frame_of_slice]
    assert record["ingestion"]["series"][0]["frames"] == 7
    assert [file["frames"] for file in record["ingestion"]["files"]] == [7]


def test_both_volumes_of_a_job_become_dicom_again_without_the_source(root, capsys):
    write_enhanced_phantom(root / "case" / "a.dcm")
    assert main(["run", "3dblur", "case", "--keep-hdf5"]) == 0
    output = Path(capsys.readouterr().out.strip())
    source, result = dlp.read_series(root / "case"), dlp.read_series(output)
    shutil.rmtree(root / "case")
    for name, volume in (("source", source), ("result", result)):
        dlp.hdf5_to_dicom(output / f"{name}.h5", root / name)
        again = dlp.read_series(root / name)
        np.testing.assert_allclose(again.voxels, volume.voxels, atol=0.51)
        np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, volume.geometry.affine_kji_to_lps)
    assert json.loads((output / "source.json").read_text())["acquisition"]["KVP"] == 120


def test_facts_of_the_acquisition_are_told_where_a_vendor_has_elements_beside_the_shared_groups(root):
    def private(ds: Dataset) -> None:
        """As Philips does: a private block in the item of the groups, with texts and with a whole data set."""
        own = Dataset()
        own.KVP = 70
        block = ds.SharedFunctionalGroupsSequence[0].private_block(0x2005, "A VENDOR", create=True)
        block.add_new(0x01, "LO", "text")
        block.add_new(0x02, "SQ", [own])

    write_enhanced_phantom(root / "case" / "a.dcm", before_saving=private)
    dlp.dicom_to_hdf5("case", "v.h5", "v.json")
    assert json.loads((root / "v.json").read_text())["acquisition"]["KVP"] == 120


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_stored_values_and_groups_come_back_through_hdf5_as_they_were(root, modality, undefined):
    phantom = write_enhanced_phantom(root / "case" / "a.dcm", modality=modality)
    if undefined:
        undefined_lengths(phantom.file)
    source = pydicom.dcmread(phantom.file)
    dlp.dicom_to_hdf5("case", "v.h5", "v.json")
    shutil.rmtree("case")
    (file,) = dlp.hdf5_to_dicom("v.h5", "out").files
    ds = pydicom.dcmread(file)
    np.testing.assert_array_equal(ds.pixel_array, source.pixel_array[phantom.frame_of_slice])
    changed = {"FrameContentSequence", "DerivationImageSequence", *_kinds(source)}
    for item, frame in zip(ds.PerFrameFunctionalGroupsSequence, phantom.frame_of_slice, strict=True):
        before = source.PerFrameFunctionalGroupsSequence[frame]
        assert {group.keyword for group in item} - {"DerivationImageSequence"} == {group.keyword for group in before}
        for group in before:
            assert group.keyword in changed or item[group.tag] == group
    for group in source.SharedFunctionalGroupsSequence[0]:
        assert group.keyword in changed or ds.SharedFunctionalGroupsSequence[0][group.tag] == group


def _kinds(ds: Dataset) -> set[str]:
    return {group.keyword for group in ds.SharedFunctionalGroupsSequence[0] if "FrameType" in group.keyword}


def test_the_header_of_a_multi_frame_file_is_stored_once(root):
    phantom = write_enhanced_phantom(root / "case" / "a.dcm")
    dlp.dicom_to_hdf5("case", "v.h5", "v.json")
    headers = read_hdf5_headers(Path("v.h5"))
    assert headers is not None
    content = phantom.file.read_bytes()
    assert headers.encoded == (content[: content.index(b"\xe0\x7f\x10\x00OW")],)
    assert headers.frames == tuple((0, frame) for frame in phantom.frame_of_slice)
    with h5py.File("v.h5") as file:
        assert file.attrs["format_version"] == 3
        assert file["entry/headers/frames"][()].tolist() == [[0, frame + 1] for frame in phantom.frame_of_slice]


def test_a_chosen_stack_and_frames_of_several_files_go_there_and_back(root):
    two_stacks(root / "stacks")
    halves(root / "halves", concatenated=True)
    for name, select in (("stacks", {"StackID": "1"}), ("halves", {})):
        volume = dlp.dicom_to_hdf5(name, f"{name}.h5", f"{name}.json", select=select)
        dlp.hdf5_to_dicom(f"{name}.h5", f"{name} again")
        again = dlp.read_series(f"{name} again")
        np.testing.assert_array_equal(again.voxels, volume.voxels)
        np.testing.assert_array_equal(again.geometry.affine_kji_to_lps, volume.geometry.affine_kji_to_lps)


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((7, 2), int),
        np.full((7, 2), 3),
        np.full((7, 2), [0, 9]),
        np.full((7, 2), [-1, 1]),
        np.zeros(7, int),
        np.zeros((0, 2), int),
    ],
)
def test_a_table_of_frames_that_was_changed_is_refused(root, table):
    write_enhanced_phantom(root / "case" / "a.dcm")
    dlp.dicom_to_hdf5("case", "v.h5", "v.json")
    with h5py.File("v.h5", "a") as file:
        sha256 = file["entry/headers/frames"].attrs["sha256"]
        del file["entry/headers/frames"]
        file["entry/headers/frames"] = table
        file["entry/headers/frames"].attrs["sha256"] = sha256
    with pytest.raises(errors.Hdf5Error, match="frames"):
        dlp.hdf5_to_dicom("v.h5", "out")
    assert not Path("out").exists()


def test_a_file_without_its_table_of_frames_is_refused(root):
    write_enhanced_phantom(root / "case" / "a.dcm")
    dlp.dicom_to_hdf5("case", "v.h5", "v.json")
    with h5py.File("v.h5", "a") as file:
        del file["entry/headers/frames"]
    with pytest.raises(errors.DlpError, match="7 frames"):
        dlp.hdf5_to_dicom("v.h5", "out")


def test_headers_as_json_tell_all_of_a_multi_frame_file(root):
    write_enhanced_phantom(root / "case" / "a.dcm")
    dlp.dicom_to_hdf5("case", "v.h5", "v.json", keep_phi=True)
    told = json.loads(Path("v.json").read_text())["dicom"]
    assert len(told["common"]["52009230"]["Value"]) == 7
    assert told["slices"] == [{}]
