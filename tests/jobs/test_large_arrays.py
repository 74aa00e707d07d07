"""A volume that a task needs whole lies in a file where the memory is too small for it; the result is the same."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest

import dlp_lab as dlp
from dlp_lab import large_arrays
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.memory_share import SHARE_VARIABLE
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.large_arrays import arrays_in_files, volume_array, volume_zeros
from dlp_lab.models.registry import add_model
from tests.models.networks import description, threshold_network, write_package
from tests.phantom import write_phantom_series

UID = "a" * 32


@pytest.fixture
def small_ones_too(monkeypatch):
    monkeypatch.setattr(large_arrays, "_LEAST_BYTES", 0)


@pytest.fixture
def segment(workspace, tmp_path, monkeypatch, small_ones_too):
    """Runs a job of `segment`; the folder of its result."""
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    way = {"kind": "windows", "patch": [16, 16, 16], "overlap": 0.0}
    steps = [{"do": "resample"}, {"do": "clip", "low": -900.0, "high": 3000.0}]
    told = description(inference=way, steps=steps)
    add_model(write_package(tmp_path / "package", threshold_network(-389.5), told))

    def run(share: str) -> Path:
        monkeypatch.setenv(SHARE_VARIABLE, share)
        workspace.remove_result(UID)
        job = Job(uid=UID, task="segment", input_dir="ct", params={}, keep_hdf5=False, state="running", submitted_at="")
        run_job(workspace, job, lambda fraction, message: None, threads=1)
        return workspace.job_folder(UID)

    return run


def test_an_array_in_a_file_is_used_as_any_other_and_leaves_nothing(tmp_path, small_ones_too):
    with arrays_in_files(tmp_path):
        values, zeros = volume_array((3, 4, 5), np.int16), volume_zeros((3, 4, 5), np.float32)
    values[...] = np.arange(60).reshape(3, 4, 5)
    np.testing.assert_array_equal(values + zeros, np.arange(60).reshape(3, 4, 5))
    assert values.flags.writeable
    assert values.flags.c_contiguous
    assert list(tmp_path.iterdir()) == []


def test_outside_of_the_block_arrays_lie_in_the_memory(tmp_path, small_ones_too, monkeypatch):
    with arrays_in_files(tmp_path):
        pass
    monkeypatch.setattr(large_arrays.mmap, "mmap", None)
    assert volume_zeros((2, 3, 4), np.uint8).sum() == 0


def test_a_disk_without_room_is_told_of_before_anything_is_written(tmp_path, small_ones_too, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(large_arrays.os, "posix_fallocate", full)
    with arrays_in_files(tmp_path), pytest.raises(OSError, match="No space left"):
        volume_array((2, 3, 4), np.uint8)


def test_labels_are_the_same_whether_the_volume_is_in_the_memory_or_in_files(workspace, segment):
    write_phantom_series(workspace.root / "ct", shape=(21, 19, 18))
    found = []
    for share in ("1", "0"):
        folder = segment(share)
        segmentation = pydicom.dcmread(folder / "segmentation.dcm")
        labels = dlp.read_hdf5(folder / "labels.h5").voxels
        found.append((segmentation.PixelData, (folder / "measurements.json").read_bytes(), labels))
    assert found[0][:2] == found[1][:2]
    assert 0 < found[0][2].sum() < found[0][2].size
    np.testing.assert_array_equal(found[0][2], found[1][2])


def test_volumes_take_no_memory_of_the_process_where_they_lie_in_files(workspace, segment):
    write_phantom_series(workspace.root / "ct", shape=(48, 96, 96))
    most = {}
    for share in ("0", "1", "0"):  # the first loads what both need
        tracemalloc.start()
        segment(share)
        most[share] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    source_and_input = 48 * 96 * 96 * (2 + 4)
    assert most["0"] < most["1"] - 0.5 * source_and_input
