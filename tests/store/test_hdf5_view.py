"""A volume is opened without being read: its voxels are the file's bytes."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.geometry import Geometry
from dlp_lab.store.checked_content import CheckedContent
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.store.hdf5_guard import GuardedFile, opened_guarded
from dlp_lab.volume import Volume
from tests.store.samples import volume

GOLDEN = Path(__file__).parent.parent / "golden"
IMAGE = "entry/volume/image"


def assert_same(found: Volume, expected: Volume) -> None:
    np.testing.assert_array_equal(found.voxels, expected.voxels)
    assert found.voxels.dtype == expected.voxels.dtype
    np.testing.assert_array_equal(found.geometry.affine_kji_to_lps, expected.geometry.affine_kji_to_lps)
    assert (found.unit, found.modality, found.source_series_uid) == ("HU", "CT", "1.2.3.4")


def test_an_opened_volume_is_a_read_only_map_of_its_file(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    opened = dlp.open_hdf5(tmp_path / "v.h5")
    assert_same(opened, volume())
    assert isinstance(opened.voxels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.voxels[0, 0, 0] = 1


def test_a_file_may_be_named_by_text(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    assert_same(dlp.open_hdf5(str(tmp_path / "v.h5")), volume())


def test_slices_of_the_three_planes_are_those_of_the_volume(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    opened = dlp.open_hdf5(tmp_path / "v.h5")
    for plane in (np.s_[3], np.s_[:, 2], np.s_[:, :, 4]):
        np.testing.assert_array_equal(opened.voxels[plane], volume().voxels[plane])


def test_voxels_are_not_read_when_a_volume_is_opened(tmp_path):
    """Seen at the counter of the kernel: what this thread has read from files."""
    counters = Path("/proc/thread-self/io")
    if not counters.exists():
        pytest.skip("the system does not count what is read")
    geometry = Geometry((64, 256, 256), volume().geometry.affine_kji_to_lps)
    large = Volume(np.zeros(geometry.shape, np.int16), geometry)
    write_hdf5(large, tmp_path / "v.h5")

    def read_so_far() -> int:
        return int(counters.read_text().split("rchar:")[1].split()[0])

    before = read_so_far()
    opened = dlp.open_hdf5(tmp_path / "v.h5")
    assert read_so_far() - before < 2**17
    assert isinstance(opened.voxels, np.memmap)
    assert (opened.voxels.nbytes, opened.voxels.offset % 4096) == (2**23, 0)


def test_a_changed_voxel_is_noticed_by_reading_and_not_by_opening(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file[IMAGE][0, 0, 0] += 1
    assert dlp.open_hdf5(tmp_path / "v.h5").voxels[0, 0, 0] == volume().voxels[0, 0, 0] + 1
    with pytest.raises(errors.Hdf5Error, match="SHA-256 differs"):
        dlp.read_hdf5(tmp_path / "v.h5")


def test_a_changed_affine_is_noticed_by_opening(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file["entry/geometry/affine_kji_to_lps"][0, 3] += 1
    with pytest.raises(errors.Hdf5Error, match=r"affine_kji_to_lps.*SHA-256 differs"):
        dlp.open_hdf5(tmp_path / "v.h5")


@pytest.mark.parametrize("options", [{"compress": "gzip"}, {"compress": "zstd"}, {"normalize": "minmax"}])
def test_voxels_that_do_not_lie_in_the_file_as_they_are_are_read_and_checked(tmp_path, options):
    write_hdf5(volume(), tmp_path / "v.h5", **options)
    opened = dlp.open_hdf5(tmp_path / "v.h5")
    assert not isinstance(opened.voxels, np.memmap)
    np.testing.assert_allclose(opened.voxels, volume().voxels, atol=1e-3)
    with pytest.raises(ValueError, match="read-only"):
        opened.voxels[0, 0, 0] = 1


def test_voxels_in_another_byte_order_are_read(tmp_path):
    swapped = volume().with_voxels(volume().voxels.astype(volume().voxels.dtype.newbyteorder()))
    write_hdf5(swapped, tmp_path / "v.h5")
    opened = dlp.open_hdf5(tmp_path / "v.h5")
    assert not isinstance(opened.voxels, np.memmap)
    np.testing.assert_array_equal(opened.voxels, volume().voxels)


@pytest.mark.parametrize("name", ["format-1.h5", "format-2.h5"])
def test_files_of_earlier_versions_are_opened_too(name):
    np.testing.assert_array_equal(dlp.open_hdf5(GOLDEN / name).voxels, dlp.read_hdf5(GOLDEN / name).voxels)


def test_voxels_after_a_block_of_another_program_are_found(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    with h5py.File(tmp_path / "w.h5", "w", userblock_size=1024) as there, h5py.File(tmp_path / "v.h5") as here:
        here.copy("entry", there)
        there.attrs.update(here.attrs)
    assert_same(dlp.open_hdf5(tmp_path / "w.h5"), volume())


def test_a_foreign_file_is_refused_telling_what_is_opened(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.zeros((2, 3, 4))
    with pytest.raises(errors.Hdf5Error, match=r"v\.h5 .*open_hdf5 opens files of dicom_to_hdf5"):
        dlp.open_hdf5(tmp_path / "v.h5")


def test_a_file_that_ends_before_its_voxels_is_refused(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    os.truncate(tmp_path / "v.h5", (tmp_path / "v.h5").stat().st_size - 100)
    for read in (dlp.open_hdf5, dlp.read_hdf5):
        with pytest.raises(errors.Hdf5Error, match=r"v\.h5"):
            read(tmp_path / "v.h5")


def test_a_size_in_the_heap_of_texts_is_looked_at_when_a_volume_is_opened(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    content = (tmp_path / "v.h5").read_bytes()
    size = content.index(b"none", content.index(b"GCOL")) - 8
    (tmp_path / "v.h5").write_bytes(content[:size] + b"\x04\x04" + content[size + 2 :])
    with pytest.raises(errors.Hdf5Error, match=r"v\.h5 is damaged \(global heap\)"):
        dlp.open_hdf5(tmp_path / "v.h5")


def test_voxels_that_are_said_to_lie_beyond_the_end_of_the_file_are_refused(tmp_path):
    """In the oldest form of a file, in which nothing has a checksum."""
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file["v"] = np.zeros((7, 5, 6), np.int16)
        offset = file["v"].id.get_offset()
    content = path.read_bytes()
    size, place = struct.pack("<Q", 420), struct.pack("<Q", offset)
    assert content.count(place + size) == 1
    path.write_bytes(content.replace(place + size, struct.pack("<Q", len(content) - 100) + size))
    for read in (GuardedFile.mapped, GuardedFile.array):
        with pytest.raises(errors.Hdf5Error, match=r"v\.h5"), opened_guarded(path) as file:
            read(file, "v")


def test_a_heap_whose_beginning_is_read_in_two_parts_is_followed_too(tmp_path):
    (tmp_path / "v.h5").write_bytes(bytes(8) + b"GCOL\x01" + bytes(27) + bytes(4096))
    with io.FileIO(tmp_path / "v.h5") as file:
        content = CheckedContent(file, "v.h5")
        content.seek(10)
        with pytest.raises(errors.Hdf5Error, match="global heap"):
            content.read(1)


def test_a_lack_of_memory_is_not_taken_for_a_damaged_file(tmp_path, monkeypatch):
    def no_memory(*_: object) -> int:
        raise MemoryError

    write_hdf5(volume(), tmp_path / "v.h5")
    monkeypatch.setattr(CheckedContent, "readinto", no_memory)
    with pytest.raises(MemoryError):
        dlp.open_hdf5(tmp_path / "v.h5")


@pytest.mark.parametrize("userblock", [0, 512])
def test_an_index_of_chunks_that_leads_back_to_itself_would_keep_the_library_busy_for_ever_and_is_refused(
    tmp_path, userblock
):
    path = tmp_path / "v.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.create_dataset("v", data=np.zeros((7, 5, 6), np.int16), chunks=(1, 5, 6), compression="gzip")
    content = path.read_bytes()
    node = content.index(b"TREE\1")  # an index of chunks; those of names are of kind 0
    right = node + 16
    assert content[right : right + 8] == b"\xff" * 8
    path.write_bytes(content[:right] + struct.pack("<Q", node - userblock) + content[right + 8 :])
    for read in (dlp.read_hdf5, dlp.open_hdf5):
        with pytest.raises(errors.Hdf5Error, match="leads back to itself" if read is dlp.read_hdf5 else "v.h5"):
            read(path)
