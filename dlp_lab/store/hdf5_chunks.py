"""Chunks of HDF5 datasets, unpacked by threads, without the filters of the HDF5 library.

The library unpacks one chunk after the other, inflates a chunk to whatever size it has, and loads code for filters that
it does not come with. Here a chunk is never unpacked beyond the size that the dataset declares.
"""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray

from dlp_lab.processors import by_threads

MAX_CHUNKS = 1_000_000
FILTER_ZSTD = 32015
"""Zstandard, by its number at the HDF Group; every HDF5 library reads it that has the plug-in, such as `hdf5plugin`."""
UNPACKED_HERE = frozenset({h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32, FILTER_ZSTD})

_CHECKSUM_BYTES = 4
_MODULUS = 65535
_BATCH_BYTES = 4 * 2**20
"""What a thread unpacks at a time."""


class BrokenChunk(ValueError):
    """A chunk is not what its dataset declares."""


@dataclass(frozen=True)
class _Chunk:
    """Where a chunk belongs, which filters were left out when it was packed, and where it lies in the file."""

    start: tuple[int, ...]
    filter_mask: int
    offset: int
    size: int


def read_chunked(content: io.FileIO, dataset: h5py.Dataset) -> NDArray[Any]:
    """All values of a dataset that is packed by filters of `UNPACKED_HERE` alone.

    Args:
        content: The file that the dataset is in.
        dataset: Of numbers; its size and that of its chunks are known to be bearable.

    Raises:
        BrokenChunk: A chunk is damaged, is no part of the dataset, or unpacks to another size than a chunk's.
    """
    chunks = list(_chunks(content, dataset))
    filters = filters_of(dataset)
    _check_shuffle(dataset)
    # asked once, for h5py answers one thread at a time
    shape, chunk_shape, dtype = dataset.shape, dataset.chunks, dataset.dtype
    whole = math.prod(chunk_shape) * dtype.itemsize
    values = np.empty(shape, dtype)
    if len({chunk.start for chunk in chunks}) < _grid_size(dataset):
        values[...] = dataset.fillvalue

    def unpack(batch: Sequence[tuple[_Chunk, bytes]]) -> None:
        for chunk, packed in batch:
            skipped = [bool(chunk.filter_mask >> place & 1) for place in range(len(filters))]
            kept = [number for number, skip in zip(filters, skipped, strict=True) if not skip]
            unpacked = _unpacked(packed, kept, dtype.itemsize, whole).view(dtype)
            target = values[tuple(slice(s, s + n) for s, n in zip(chunk.start, chunk_shape, strict=True))]
            target[...] = unpacked.reshape(chunk_shape)[tuple(slice(n) for n in target.shape)]

    # closed here, for no thread may outlive what failed
    with closing(by_threads(unpack, _batches(content, chunks, max(1, _BATCH_BYTES // whole)))) as unpacked:
        deque(unpacked, maxlen=0)
    return values


def check_chunks(content: io.FileIO, dataset: h5py.Dataset) -> None:
    """See that all chunks of a dataset lie in its grid and in its file, and are no larger than what they unpack to.

    Raises:
        BrokenChunk: One does not, or there are more than `MAX_CHUNKS`.
    """
    for _ in _chunks(content, dataset):
        pass


def filters_of(dataset: h5py.Dataset) -> list[int]:
    """Numbers of the filters that a dataset's chunks pass through when they are written, in this order."""
    created = dataset.id.get_create_plist()
    return [created.get_filter(place)[0] for place in range(created.get_nfilters())]


def _check_shuffle(dataset: h5py.Dataset) -> None:
    created = dataset.id.get_create_plist()
    for place in range(created.get_nfilters()):
        number, _, parameters, _ = created.get_filter(place)
        if number == h5py.h5z.FILTER_SHUFFLE and parameters != (dataset.dtype.itemsize,):
            raise BrokenChunk("its bytes are shuffled by another size than that of its numbers")


def _grid_size(dataset: h5py.Dataset) -> int:
    return math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))


def _chunks(content: io.FileIO, dataset: h5py.Dataset) -> Iterator[_Chunk]:
    count = _grid_size(dataset)
    if count > MAX_CHUNKS:
        raise BrokenChunk(f"it is divided into {count:,} chunks; up to {MAX_CHUNKS:,} are read")
    found: list[_Chunk] = []

    def look(stored: Any) -> bool | None:
        found.append(_Chunk(stored.chunk_offset, stored.filter_mask, stored.byte_offset, stored.size))
        return True if len(found) > count else None

    dataset.id.chunk_iter(look)
    if len(found) > count:
        raise BrokenChunk(f"it has more chunks than the {count:,} that it declares")
    # the filters add a few bytes at most to what they cannot pack
    most = math.prod(dataset.chunks) * dataset.dtype.itemsize * 1.01 + 1024
    end = content.seek(0, io.SEEK_END)
    shape, steps = dataset.shape, dataset.chunks
    for chunk in found:
        inside = all(
            0 <= place < length and place % step == 0
            for place, length, step in zip(chunk.start, shape, steps, strict=True)
        )
        if not inside:
            raise BrokenChunk(f"a chunk lies at {chunk.start}, where it has none")
        if chunk.size > most or chunk.offset + chunk.size > end:
            raise BrokenChunk(f"the chunk at {chunk.start} has {chunk.size:,} bytes, more than it can have")
        yield chunk


def _batches(content: io.FileIO, chunks: list[_Chunk], size: int) -> Iterator[list[tuple[_Chunk, bytes]]]:
    for first in range(0, len(chunks), size):
        yield [(chunk, _stored(content, chunk)) for chunk in chunks[first : first + size]]


def _stored(content: io.FileIO, chunk: _Chunk) -> bytes:
    content.seek(chunk.offset)
    packed = content.read(chunk.size) or b""
    if len(packed) < chunk.size:
        raise BrokenChunk(f"the file ends within the chunk at {chunk.start}")
    return packed


def _unpacked(packed: bytes, filters: Sequence[int], itemsize: int, whole: int) -> NDArray[np.uint8]:
    data = np.frombuffer(packed, np.uint8)
    for number in reversed(filters):
        if number == h5py.h5z.FILTER_DEFLATE:
            data = _inflated(data, whole + _CHECKSUM_BYTES * len(filters))
        elif number == FILTER_ZSTD:
            data = _decompressed(data, whole + _CHECKSUM_BYTES * len(filters))
        elif number == h5py.h5z.FILTER_FLETCHER32:
            data = _without_checksum(data)
        elif data.size != whole:
            raise BrokenChunk(f"a chunk unpacks to {data.size:,} bytes instead of {whole:,}")
        else:
            data = _unshuffled(data, itemsize)
    if data.size != whole:
        raise BrokenChunk(f"a chunk unpacks to {data.size:,} bytes instead of {whole:,}")
    return data


def _inflated(packed: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    inflater = isal_zlib.decompressobj()
    try:
        data = inflater.decompress(packed, most + 1)
    except igzip_lib.IsalError:  # type: ignore[misc] # isal's stubs call the class an instance
        raise BrokenChunk("a chunk cannot be inflated") from None
    if len(data) > most:
        raise BrokenChunk(f"a chunk inflates to more than {most:,} bytes")
    if not inflater.eof:
        raise BrokenChunk("a chunk ends before its data do")
    return np.frombuffer(data, np.uint8)


def _decompressed(packed: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    from imagecodecs import ZstdError, zstd_decode

    try:
        # its stubs know fewer kinds of buffers than it takes
        data = zstd_decode(packed, out=np.empty(most, np.uint8))  # type: ignore[arg-type]
    except ZstdError:
        raise BrokenChunk(f"a chunk is no Zstandard frame of up to {most:,} bytes") from None
    return np.asarray(data)


def _unshuffled(data: NDArray[np.uint8], itemsize: int) -> NDArray[np.uint8]:
    planes = data.reshape(itemsize, -1)
    words = planes[-1].astype(f"<u{itemsize}")
    for plane in planes[-2::-1]:
        words <<= np.uint8(8)
        words |= plane
    unshuffled: NDArray[np.uint8] = words.view(np.uint8)
    return unshuffled


def _without_checksum(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    data, stored = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if stored.tobytes() != _fletcher32(data).to_bytes(_CHECKSUM_BYTES, "little"):
        raise BrokenChunk("the checksum of a chunk does not fit")
    return data


def _fletcher32(data: NDArray[np.uint8]) -> int:
    """Fletcher's checksum as HDF5 defines it (H5checksum.c): its sums are 65535 where they could be 0."""
    words = np.append(data, np.zeros(data.size % 2, np.uint8)).view(">u2").astype(np.uint64)
    if not words.any():
        return 0
    # the second is the sum of the first one so far: each word counts as often as there are words from it on
    times = np.arange(words.size, 0, -1, dtype=np.uint64) % np.uint64(_MODULUS)
    first, second = int(words.sum()), int((words * times % np.uint64(_MODULUS)).sum())
    return ((second - 1) % _MODULUS + 1) << 16 | ((first - 1) % _MODULUS + 1)
