"""Compressed chunks are unpacked within bounds, whatever comes."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t, h5z
from imagecodecs import zstd_encode

from dlp_lab import errors
from dlp_lab.store.hdf5 import read_hdf5, write_hdf5
from dlp_lab.store.hdf5_chunks import FILTER_ZSTD
from tests.store.samples import IMAGE, SHAPE, of_shape, peak_memory, volume

Hostile = Callable[[h5py.File], object]


def packed_image(file: h5py.File, chunk: bytes, mask: int = 0, dtype: str = "<i2", **options: object) -> None:
    """An image of one chunk, which holds these bytes."""
    image = file.create_dataset(IMAGE, SHAPE, dtype, chunks=SHAPE, compression="gzip", **options)
    image.id.write_direct_chunk((0, 0, 0), chunk, mask)


def filtered_image(file: h5py.File, *filters: tuple[int, tuple[int, ...]]) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk(SHAPE)
    for number, parameters in filters:
        created.set_filter(number, h5z.FLAG_OPTIONAL, parameters)
    group = file.require_group("entry/volume")
    image = h5d.create(group.id, b"image", h5t.STD_I16LE, h5s.create_simple(SHAPE), created)
    image.write_direct_chunk((0, 0, 0), zlib.compress(bytes(420)))


def zstd_image(file: h5py.File, chunk: bytes, shape: tuple[int, ...] = SHAPE, dtype: str = "<i2") -> None:
    """An image of one chunk, which holds these bytes and is said to be packed by Zstandard."""
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_filter(FILTER_ZSTD, h5z.FLAG_OPTIONAL, (1,))
    image = file.create_dataset(IMAGE, shape, dtype, chunks=shape, dcpl=created)
    image.id.write_direct_chunk((0, 0, 0), chunk)


def zstd_bomb(file: h5py.File) -> None:
    """One chunk of 1 MiB, which would unpack to 256 MiB."""
    zstd_image(file, zstd_encode(bytes(2**28), 1), (1, 1024, 1024), "u1")


def zstd_bomb_of_no_told_size(file: h5py.File) -> None:
    """The frame's header does not tell how large it is."""
    frame = zstd_encode(bytes(2**22), 1)
    blocks = frame[frame.index(b"\xb5\x2f\xfd") + 4 + 4 :]
    zstd_image(file, b"\x28\xb5\x2f\xfd\x00\x58" + blocks, (1, 1024, 1024), "u1")


def zstd_a_byte_too_many(file: h5py.File) -> None:
    zstd_image(file, zstd_encode(bytes(421)))


def zstd_far_too_many(file: h5py.File) -> None:
    zstd_image(file, zstd_encode(bytes(430)))


def zstd_a_byte_too_few(file: h5py.File) -> None:
    zstd_image(file, zstd_encode(bytes(419)))


def zstd_cut_off(file: h5py.File) -> None:
    zstd_image(file, zstd_encode(np.random.default_rng(0).bytes(420))[:-30])


def no_zstd(file: h5py.File) -> None:
    zstd_image(file, b"no Zstandard frame at all")


def zstd_declares_much(file: h5py.File) -> None:
    """8 GiB of chunks, of which one is there."""
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_filter(FILTER_ZSTD, h5z.FLAG_OPTIONAL, (1,))
    image = file.create_dataset(IMAGE, (2048, 2048, 2048), "u1", chunks=(1, 2048, 2048), dcpl=created)
    image.id.write_direct_chunk((0, 0, 0), zstd_encode(bytes(2**22), 1))


def deflated_and_zstd(file: h5py.File) -> None:
    filtered_image(file, (h5z.FILTER_DEFLATE, (4,)), (FILTER_ZSTD, (1,)))


def bomb(file: h5py.File) -> None:
    """One chunk of 1 MiB, which would inflate to 256 MiB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    file.create_dataset(IMAGE, (1, 1024, 1024), "u1", chunks=(1, 1024, 1024), compression="gzip")
    file[IMAGE].id.write_direct_chunk((0, 0, 0), packed)


def bomb_within_a_large_chunk(file: h5py.File) -> None:
    """A chunk may hold 64 MiB, of which this one declares 1 MiB: what is stored is more than that already."""
    file.create_dataset(IMAGE, (1, 1024, 1024), "u1", chunks=(1, 1024, 1024), compression="gzip")
    file[IMAGE].id.write_direct_chunk((0, 0, 0), bytes(2 * 2**20))


def a_byte_too_many(file: h5py.File) -> None:
    packed_image(file, zlib.compress(bytes(421)))


def a_byte_too_few(file: h5py.File) -> None:
    packed_image(file, zlib.compress(bytes(419)))


def shuffled_too_few(file: h5py.File) -> None:
    packed_image(file, zlib.compress(bytes(417)), shuffle=True)


def cut_off(file: h5py.File) -> None:
    packed_image(file, zlib.compress(np.random.default_rng(0).bytes(420))[:-30])


def one_byte(file: h5py.File) -> None:
    packed_image(file, zlib.compress(bytes(420))[:1])


def no_deflate(file: h5py.File) -> None:
    packed_image(file, b"no deflated data at all")


def wrong_adler(file: h5py.File) -> None:
    packed_image(file, zlib.compress(bytes(420))[:-4] + b"none")


def unpacked_of_another_size(file: h5py.File) -> None:
    packed_image(file, bytes(100), mask=1)


def checksum_alone(file: h5py.File) -> None:
    packed_image(file, b"ab", mask=1, fletcher32=True)


def deflated_twice(file: h5py.File) -> None:
    filtered_image(file, (h5z.FILTER_DEFLATE, (4,)), (h5z.FILTER_DEFLATE, (4,)))


def deflated_and_lzf(file: h5py.File) -> None:
    filtered_image(file, (h5z.FILTER_DEFLATE, (4,)), (h5z.FILTER_LZF, (4, 0, 420)))


def lzf_larger_than_its_values(file: h5py.File) -> None:
    image = file.create_dataset(IMAGE, SHAPE, "<i2", chunks=SHAPE, compression="lzf")
    image.id.write_direct_chunk((0, 0, 0), bytes(2**20))


def very_many_chunks(file: h5py.File) -> None:
    file.create_dataset(IMAGE, (101, 100, 100), "u1", chunks=(1, 1, 1), compression="gzip")
    for k in range(101):
        file[IMAGE].id.write_direct_chunk((k, 0, 0), zlib.compress(b"1") + bytes(1000))


HOSTILE = {
    bomb: "inflates to more than 1,048,580 bytes",
    bomb_within_a_large_chunk: "2,097,152 bytes, more than it can have",
    a_byte_too_many: "unpacks to 421 bytes instead of 420",
    a_byte_too_few: "unpacks to 419 bytes instead of 420",
    shuffled_too_few: "unpacks to 417 bytes instead of 420",
    cut_off: "ends before its data do",
    one_byte: "ends before its data do",
    no_deflate: "cannot be inflated",
    wrong_adler: "cannot be inflated",
    unpacked_of_another_size: "unpacks to 100 bytes instead of 420",
    checksum_alone: "checksum of a chunk",
    deflated_twice: "filter 1, 1",
    deflated_and_lzf: "filter 1, 32000",
    deflated_and_zstd: "filter 1, 32015",
    zstd_bomb: "no Zstandard frame of up to 1,048,580 bytes",
    zstd_bomb_of_no_told_size: "no Zstandard frame of up to 1,048,580 bytes",
    zstd_a_byte_too_many: "unpacks to 421 bytes instead of 420",
    zstd_far_too_many: "no Zstandard frame of up to 424 bytes",
    zstd_a_byte_too_few: "unpacks to 419 bytes instead of 420",
    zstd_cut_off: "no Zstandard frame of up to 424 bytes",
    no_zstd: "no Zstandard frame of up to 424 bytes",
    zstd_declares_much: "declares 8,589,934,592 bytes but holds",
    lzf_larger_than_its_values: "1,048,576 bytes, more than it can have",
    very_many_chunks: "1,010,000 chunks; up to 1,000,000",
}


@pytest.mark.parametrize("own", [True, False], ids=["own", "foreign"])
@pytest.mark.parametrize(("make", "reason"), HOSTILE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_hostile_chunk_is_refused_at_once_naming_file_and_reason(tmp_path, make: Hostile, reason: str, own: bool):
    path = tmp_path / "v.h5"
    if own:
        write_hdf5(volume(), path)
    with h5py.File(path, "a") as file:
        if own:
            del file[IMAGE]
        make(file)
    before, began = peak_memory(), time.process_time()
    with pytest.raises(errors.Hdf5Error, match=rf"v\.h5: {IMAGE} is refused: .*({reason})"):
        read_hdf5(path)
    assert time.process_time() - began < 2
    assert peak_memory() - before < 32 * 2**20


def test_bytes_that_are_shuffled_by_another_size_than_the_numbers_have_are_refused(tmp_path):
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=np.zeros(SHAPE, "<i2"), chunks=SHAPE, shuffle=True, compression="gzip")
    name = b"shuffle\0"
    content = path.read_bytes()
    assert name + b"\2\0\0\0" in content
    path.write_bytes(content.replace(name + b"\2", name + b"\4"))
    with pytest.raises(errors.Hdf5Error, match="shuffled by another size"):
        read_hdf5(path)


def test_a_chunk_that_was_stored_as_it_is_is_read_so(tmp_path):
    """A filter that cannot pack a chunk leaves it out, and a bit of the chunk's mask tells."""
    values = np.random.default_rng(0).integers(-99, 99, SHAPE, dtype="<i2")
    with h5py.File(tmp_path / "v.h5", "w") as file:
        packed_image(file, values.tobytes(), mask=1)
    np.testing.assert_array_equal(read_hdf5(tmp_path / "v.h5"), values)


def test_chunks_beyond_the_end_of_a_file_are_refused(tmp_path):
    write_hdf5(of_shape((16, 256, 256), "<i2"), tmp_path / "v.h5", compress="gzip")
    content = (tmp_path / "v.h5").read_bytes()
    (tmp_path / "v.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(errors.Hdf5Error, match=r"v\.h5"):
        read_hdf5(tmp_path / "v.h5")


def test_numbers_that_numpy_does_not_have_are_refused_for_their_bytes_mean_something_else(tmp_path: Path):
    twelve_bits = h5t.STD_I16LE.copy()
    twelve_bits.set_precision(12)
    twelve_bits.set_offset(4)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        h5d.create(file.id, b"v", twelve_bits, h5s.create_simple(SHAPE)).write(
            h5s.ALL, h5s.ALL, np.zeros(SHAPE, np.int16)
        )
    with pytest.raises(errors.Hdf5Error, match="type that numpy does not have"):
        read_hdf5(tmp_path / "v.h5")


def test_a_chunk_outside_of_the_image_is_refused(tmp_path):
    """In the oldest form of a file, whose index of chunks has no checksum."""
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=np.zeros(SHAPE, "<i2"), chunks=(4, 5, 6), compression="gzip")
    content = path.read_bytes()
    second, outside = struct.pack("<4Q", 4, 0, 0, 0), struct.pack("<4Q", 8, 0, 0, 0)
    assert content.count(second) == 1
    path.write_bytes(content.replace(second, outside))
    with pytest.raises(errors.Hdf5Error, match=r"a chunk lies at \(8, 0, 0\), where it has none"):
        read_hdf5(path)
