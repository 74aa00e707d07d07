"""A hostile HDF5 file is refused by name, at once, and before anything of it is read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlp_lab import errors
from dlp_lab.store.hdf5 import read_hdf5, read_hdf5_headers, write_hdf5
from dlp_lab.volume import Volume
from tests.store.samples import headers, peak_memory, volume

IMAGE = "entry/volume/image"
Hostile = Callable[[h5py.File, Path], object]


def external(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(b"secret!!" * 52 + b"....")
    file.create_dataset(IMAGE, (7, 5, 6), "<i2", external=[(str(folder / "secret"), 0, 420)])


def virtual(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["v"] = np.zeros((7, 5, 6), np.int16)
    layout = h5py.VirtualLayout((7, 5, 6), np.int16)
    layout[:] = h5py.VirtualSource(folder / "other.h5", "v", (7, 5, 6))
    file.create_virtual_dataset(IMAGE, layout)


def external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["v"] = np.zeros((7, 5, 6), np.int16)
    file[IMAGE] = h5py.ExternalLink(str(folder / "other.h5"), "v")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["elsewhere"] = np.zeros((7, 5, 6), np.int16)
    file[IMAGE] = h5py.SoftLink("/elsewhere")


def linked_group(file: h5py.File, folder: Path) -> None:
    file.move("entry/volume", "elsewhere")
    file["elsewhere/image"] = np.zeros((7, 5, 6), np.int16)
    file["entry/volume"] = h5py.SoftLink("/elsewhere")


def absurd_shape(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, (2**14, 2**14, 2**14), "u1", chunks=(16, 16, 16))


def hollow(file: h5py.File, folder: Path) -> None:
    """4 GiB of fill values, of which the file holds none."""
    space = h5s.create_simple((2**10, 2**11, 2**11))
    h5d.create(file["entry/volume"].id, b"image", h5t.NATIVE_UINT8, space)


def hollow_chunks(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, (2**10, 2**11, 2**11), "u1", chunks=(1, 64, 64), compression="gzip")


def huge_chunk(file: h5py.File, folder: Path) -> None:
    """265 kB that unfold to 268 MB at the first voxel."""
    file.create_dataset(IMAGE, data=np.zeros((1, 2**14, 2**14), "u1"), chunks=(1, 2**14, 2**14), compression="gzip")


def unknown_filter(file: h5py.File, folder: Path) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((7, 5, 6))
    created.set_filter(32004, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5s.create_simple((7, 5, 6))
    h5d.create(file["entry/volume"].id, b"image", h5t.STD_I16LE, space, created).write(
        h5s.ALL, h5s.ALL, np.zeros((7, 5, 6), np.int16)
    )


def scale_offset(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, data=np.zeros((7, 5, 6), np.int16), scaleoffset=True)


def objects(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, (7, 5, 6), h5py.string_dtype())


def references(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, (7, 5, 6), h5py.ref_dtype)


def compound(file: h5py.File, folder: Path) -> None:
    file.create_dataset(IMAGE, (7, 5, 6), np.dtype([("a", "i2"), ("b", "f4")]))


def group_for_dataset(file: h5py.File, folder: Path) -> None:
    file.create_group(IMAGE)


def null_space(file: h5py.File, folder: Path) -> None:
    file[IMAGE] = h5py.Empty("i2")


def huge_affine(file: h5py.File, folder: Path) -> None:
    file[IMAGE] = np.zeros((7, 5, 6), np.int16)
    del file["entry/geometry/affine_kji_to_lps"]
    file.create_dataset("entry/geometry/affine_kji_to_lps", (2**15, 2**15), "f8", chunks=(64, 64))


def text_is_no_text(file: h5py.File, folder: Path) -> None:
    file[IMAGE] = np.zeros((7, 5, 6), np.int16)
    file[IMAGE].attrs["sha256"] = np.zeros((50, 50))


def huge_attribute(file: h5py.File, folder: Path) -> None:
    file[IMAGE] = np.zeros((7, 5, 6), np.int16)
    file[IMAGE].attrs.create("sha256", np.bytes_(b"x" * 2**20))


HOSTILE = {
    external: "other files",
    virtual: "other files",
    external_link: "links are not followed",
    soft_link: "links are not followed",
    linked_group: "links are not followed",
    absurd_shape: r"declares 4,398,046,511,104 bytes",
    hollow: r"declares 4,294,967,296 bytes but holds 0",
    hollow_chunks: r"declares 4,294,967,296 bytes but holds 0",
    huge_chunk: r"chunks have 268,435,456 bytes",
    unknown_filter: "filter 32004",
    scale_offset: "filter 6",
    objects: "expected kind",
    references: "expected kind",
    compound: "expected kind",
    group_for_dataset: "no dataset",
    null_space: "empty",
    huge_affine: r"affine.* declares 8,589,934,592 bytes; up to 128",
    text_is_no_text: "attribute sha256",
    huge_attribute: "attribute sha256",
}


@pytest.mark.parametrize(("make", "reason"), HOSTILE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_hostile_file_is_refused_at_once_naming_file_and_reason(tmp_path, make: Hostile, reason: str):
    write_hdf5(volume(), tmp_path / "v.h5")
    with h5py.File(tmp_path / "v.h5", "a", libver="latest") as file:
        del file[IMAGE]
        make(file, tmp_path)
    before, began = peak_memory(), time.process_time()
    with pytest.raises(errors.Hdf5Error, match=rf"v\.h5: .*{reason}"):
        read_hdf5(tmp_path / "v.h5")
    assert time.process_time() - began < 2
    assert peak_memory() - before < 32 * 2**20


@pytest.mark.parametrize("make", [external, virtual, absurd_shape, hollow, huge_chunk, unknown_filter])
def test_a_foreign_hostile_file_is_refused_too(tmp_path, make: Hostile):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_group("entry/volume")
        make(file, tmp_path)
    with pytest.raises(errors.Hdf5Error, match=IMAGE):
        read_hdf5(tmp_path / "v.h5")


@pytest.mark.parametrize("make", [external_link, objects, references, compound])
def test_what_is_no_volume_of_numbers_in_this_very_file_is_not_seen_in_a_foreign_file(tmp_path, make: Hostile):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        make(file, tmp_path)
    with pytest.raises(errors.Hdf5Error, match="holds 0 3-D datasets"):
        read_hdf5(tmp_path / "v.h5")


def test_a_file_of_very_many_objects_is_refused(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        for n in range(10_001):
            file.create_group(str(n))
    with pytest.raises(errors.Hdf5Error, match="more than 10000 objects"):
        read_hdf5(tmp_path / "v.h5")


def test_groups_that_hold_each_other_are_read_to_their_end(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a/b/v"] = np.zeros((2, 2, 2))
        file["a/b/c"] = file["a"]
    assert read_hdf5(tmp_path / "v.h5").shape == (2, 2, 2)


def test_no_code_is_loaded_for_a_filter(tmp_path):
    """In a process of its own, whose HDF5 library would load plug-ins from the folder beside the file."""
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_group("entry/volume")
        unknown_filter(file, tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "libevil.so").write_bytes(b"\x7fELF no library")
    script = (
        "import sys, pathlib; from dlp_lab.store.hdf5 import read_hdf5\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(args) if event == 'ctypes.dlopen' else None)\n"
        "try: read_hdf5(pathlib.Path('v.h5'))\n"
        "except Exception as error: print(type(error).__name__, error, opened)\n"
    )
    environment = {**os.environ, "HDF5_PLUGIN_PATH": str(tmp_path / "plugins")}
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=openat", sys.executable, "-c", script]
        if Path("/usr/bin/strace").exists()
        else [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Hdf5Error v.h5: entry/volume/image is refused: it is packed by filter 32004" in done.stdout
    assert "libevil" not in done.stderr


def one_bit_changed(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_no_changed_bit_changes_values_place_or_headers_unnoticed(tmp_path, fraction):
    path = tmp_path / "whole.h5"
    if not path.exists():
        write_hdf5(volume(), path, "none", [f"1.2.{k}" for k in range(7)], headers())
    content = path.read_bytes()
    mutant = tmp_path / "mutant.h5"
    mutant.write_bytes(one_bit_changed(content, int(fraction * len(content) * 8)))
    try:
        read, found = read_hdf5(mutant), read_hdf5_headers(mutant)
    except errors.DlpError:
        return
    assert isinstance(read, Volume)
    np.testing.assert_array_equal(read.voxels, volume().voxels)
    assert read.voxels.dtype == np.int16
    np.testing.assert_array_equal(read.geometry.affine_kji_to_lps, volume().geometry.affine_kji_to_lps)
    assert found is not None
    assert found.encoded == tuple(b"commonslice %d" % k for k in range(7))


def test_a_size_in_the_heap_of_texts_that_would_keep_the_library_busy_for_ever_is_refused(tmp_path):
    write_hdf5(volume(), tmp_path / "v.h5")
    content = (tmp_path / "v.h5").read_bytes()
    size = content.index(b"none", content.index(b"GCOL")) - 8
    (tmp_path / "v.h5").write_bytes(content[:size] + b"\x04\x04" + content[size + 2 :])
    with pytest.raises(errors.Hdf5Error, match=r"v\.h5 is damaged \(global heap\)"):
        read_hdf5(tmp_path / "v.h5")


def test_a_file_with_many_texts_is_read(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.zeros((2, 2, 2))
        file["texts"] = ["x" * (n % 6000) for n in range(3000)]
    assert read_hdf5(tmp_path / "v.h5").shape == (2, 2, 2)
