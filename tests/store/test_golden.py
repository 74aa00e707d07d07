"""Files of every version of the format, as the program of that version wrote them, are read: by us, and by h5py alone.

`format-1.h5` holds the volume of `tests/store/test_hdf5.py`, `format-2.h5` the phantom with its headers,
`format-3-compressed.h5` the same, compressed by gzip, `format-3-zstd.h5` by Zstandard, `format-3-frames.h5` the phantom
from one enhanced multi-frame file.
"""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pydicom
import pytest

import dlp_lab as dlp
from dlp_lab.store.hdf5 import read_hdf5, read_hdf5_headers
from dlp_lab.volume import Volume
from tests.phantom import value_at
from tests.test_geometry import oblique_geometry

FILTER_ZSTD = hdf5plugin.FILTERS["zstd"]  # its import registers what h5py reads with
GOLDEN = Path(__file__).parent.parent / "golden"


def test_version_1_is_read():
    volume = read_hdf5(GOLDEN / "format-1.h5")
    assert isinstance(volume, Volume)
    expected = np.random.default_rng(0).integers(-1024, 3000, (7, 5, 6), dtype=np.int16)
    np.testing.assert_array_equal(volume.voxels, expected)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, oblique_geometry().affine_kji_to_lps, atol=1e-9)
    assert (volume.unit, volume.modality, volume.source_series_uid) == ("HU", "CT", "1.2.3.4")
    assert read_hdf5_headers(GOLDEN / "format-1.h5") is None


@pytest.mark.parametrize("name", ["format-2.h5", "format-3-compressed.h5", "format-3-zstd.h5"])
def test_versions_2_and_3_are_read_and_become_dicom(tmp_path, name):
    volume = read_hdf5(GOLDEN / name)
    assert isinstance(volume, Volume)
    positions = volume.geometry.positions_lps_mm(np.moveaxis(np.indices((7, 5, 6)), 0, -1))
    np.testing.assert_array_equal(volume.voxels, np.rint(value_at(positions)))
    written = dlp.hdf5_to_dicom(GOLDEN / name, tmp_path / "out")
    assert pydicom.dcmread(written.files[6]).PatientName == "Phantom^Änne"
    np.testing.assert_array_equal(dlp.read_series(tmp_path / "out").voxels, volume.voxels)


@pytest.mark.parametrize(
    ("name", "version", "filters"),
    [("format-2.h5", 2, []), ("format-3-compressed.h5", 3, [2, 1]), ("format-3-zstd.h5", 3, [2, FILTER_ZSTD])],
)
def test_h5py_alone_reads_versions_2_and_3_as_the_document_says(name, version, filters):
    with h5py.File(GOLDEN / name) as file:
        assert (file.attrs["format"], file.attrs["format_version"]) == ("dlp-lab-volume", version)
        entry, image = file["entry"], file["entry/volume/image"]
        created = image.id.get_create_plist()
        assert [created.get_filter(n)[0] for n in range(created.get_nfilters())] == filters
        affine = entry["geometry/affine_kji_to_lps"]
        for dataset in (image, affine):
            assert dataset.attrs["sha256"] == hashlib.sha256(dataset[()].tobytes()).hexdigest()
        headers = entry["headers"]
        pool, ends = headers["pieces"][()].tobytes(), [0, *headers["piece_ends"][()]]
        blobs = [b"".join(pool[ends[n] : ends[n + 1]] for n in row if n >= 0) for row in headers["slice_pieces"][()]]
        assert hashlib.sha256(b"".join(blobs)).hexdigest() == headers.attrs["sha256"]
        uids = [uid.decode() for uid in entry["slices/sop_instance_uid"][()]]
        assert [pydicom.dcmread(BytesIO(blob)).SOPInstanceUID for blob in blobs] == uids
        common = json.loads(headers["common_json"][()])
        assert common["00100010"]["Value"] == [{"Alphabetic": "Phantom^Änne"}]
        of_slice = [json.loads(text) for text in headers["slice_json"][()]]
        assert [model["00080018"]["Value"] for model in of_slice] == [[uid] for uid in uids]
        assert (headers.attrs["origin"], entry.attrs["headers"]) == ("source", "full")


@pytest.mark.parametrize("name", ["format-2.h5", "format-3-compressed.h5", "format-3-zstd.h5"])
def test_a_viewer_that_knows_nexus_opens_the_middle_slice_with_axes_in_mm(name):
    """What h5web looks at: the chain of `default`, then `signal`, `axes`, `default_slice` and `units`."""
    with h5py.File(GOLDEN / name) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], data.attrs["NX_class"]) == ("NXentry", "NXdata")
        signal = data[data.attrs["signal"]]
        assert [str(v) for v in data.attrs["default_slice"]] == ["3", ".", "."]
        assert signal.attrs["units"] == "HU"
        for axis, (name, step) in enumerate(zip(data.attrs["axes"], (2.5, 0.8, 0.5), strict=True)):
            assert data[name].shape == (signal.shape[axis],)
            np.testing.assert_allclose(np.diff(data[name]), step)
            assert data[name].attrs["units"] == "mm"
        groups = [group for group in entry.values() if isinstance(group, h5py.Group)]
        assert all("NX_class" in group.attrs for group in groups)


def test_version_3_with_frames_is_read_and_becomes_one_multi_frame_file(tmp_path):
    volume = read_hdf5(GOLDEN / "format-3-frames.h5")
    assert isinstance(volume, Volume)
    positions = volume.geometry.positions_lps_mm(np.moveaxis(np.indices((7, 5, 6)), 0, -1))
    np.testing.assert_array_equal(volume.voxels, np.rint(value_at(positions)))
    written = dlp.hdf5_to_dicom(GOLDEN / "format-3-frames.h5", tmp_path / "out")
    ds = pydicom.dcmread(written.files[0])
    assert (len(written.files), ds.NumberOfFrames, ds.PatientName) == (1, 7, "Phantom^Änne")
    np.testing.assert_array_equal(dlp.read_series(tmp_path / "out").voxels, volume.voxels)


def test_h5py_alone_reads_version_3_with_frames_as_the_document_says():
    with h5py.File(GOLDEN / "format-3-frames.h5") as file:
        assert (file.attrs["format"], file.attrs["format_version"]) == ("dlp-lab-volume", 3)
        headers, affine = file["entry/headers"], file["entry/geometry/affine_kji_to_lps"][()]
        pool, ends = headers["pieces"][()].tobytes(), [0, *headers["piece_ends"][()]]
        blobs = [b"".join(pool[ends[n] : ends[n + 1]] for n in row if n >= 0) for row in headers["slice_pieces"][()]]
        frames = headers["frames"]
        assert hashlib.sha256(frames[()].tobytes()).hexdigest() == frames.attrs["sha256"]
        assert len(frames) == len(file["entry/volume/image"])
        for k, (header, number) in enumerate(frames[()]):
            ds = pydicom.dcmread(BytesIO(blobs[header]))
            place = ds.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(affine @ (k, 0, 0, 1), [*place, 1], atol=1e-6)
