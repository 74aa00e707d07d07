"""Headers are stored once where slices share them, and come back whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from dlp_lab import errors
from dlp_lab.store.hdf5 import read_hdf5_headers, write_hdf5
from tests.store.samples import headers, peak_memory, volume


def damaged_headers(path: Path, damage: Callable[[h5py.Group], object]) -> None:
    write_hdf5(volume(), path, headers=headers())
    with h5py.File(path, "a") as file:
        damage(file["entry/headers"])


def replace(group: h5py.Group, name: str, values: np.ndarray, **options: object) -> None:
    del group[name]
    group.create_dataset(name, data=values, **options)


def test_headers_come_back_and_shared_pieces_are_stored_once(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5", headers=headers())
    found = read_hdf5_headers(tmp_path / "v.h5")
    assert found is not None
    assert found.encoded == tuple(b"common" + b"slice %d" % k for k in range(7))
    with h5py.File(tmp_path / "v.h5") as file:
        assert file["entry/headers/pieces"][()].tobytes().count(b"common") == 1


def test_a_table_that_would_unfold_without_end_is_refused(tmp_path):
    def bomb(group: h5py.Group) -> None:
        replace(group, "pieces", np.zeros(2**22, np.uint8), compression="gzip")
        replace(group, "piece_ends", np.array([2**22]))
        replace(group, "slice_pieces", np.zeros((7, 1000), np.int32), compression="gzip")

    damaged_headers(tmp_path / "v.h5", bomb)
    before = peak_memory()
    with pytest.raises(errors.Hdf5Error, match="unfold to more than 1 GiB"):
        read_hdf5_headers(tmp_path / "v.h5")
    assert peak_memory() - before < 64 * 2**20


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("slice_pieces", np.full((7, 2), 99)),
        ("slice_pieces", np.zeros(7, int)),
        ("slice_pieces", np.zeros((7, 2), int)),
        ("piece_ends", np.array([5, 3, 2**62, -(2**62), 1, 2, 3, 4])),
        ("piece_ends", np.zeros((2, 2), int)),
        ("pieces", np.zeros(3, np.uint8)),
        ("pieces", np.zeros(3, "S5")),
    ],
)
def test_a_table_of_pieces_that_makes_no_sense_is_refused(tmp_path, name, values):
    damaged_headers(tmp_path / "v.h5", lambda group: replace(group, name, values))
    with pytest.raises(errors.Hdf5Error, match=r"v\.h5"):
        read_hdf5_headers(tmp_path / "v.h5")
