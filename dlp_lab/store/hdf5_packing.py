"""Chunks of HDF5 datasets, packed by threads, without the filters of the HDF5 library.

The library packs one chunk after the other, and needs a plug-in for Zstandard. Deflating is left to ISA-L, which is
several times as fast as zlib at its level 1 and makes what every inflater reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, Literal

import h5py
import numpy as np
from isal import igzip_lib
from numpy.typing import DTypeLike, NDArray

from dlp_lab.processors import by_threads
from dlp_lab.store.hdf5_chunks import FILTER_ZSTD, filters_of

Packing = Literal["gzip", "zstd"]

CHUNK_SHAPE = (16, 64, 64)
"""128 KiB of int16. Wider ones leave twice as much to unpack for a slice across rows or columns, smaller ones take
longer to write (`benchmarks.chunks`)."""
_DEFLATING = {
    "level": 1,
    "flag": igzip_lib.COMP_ZLIB,
    "mem_level": igzip_lib.MEM_LEVEL_EXTRA_LARGE,
    "hist_bits": 9,  # bytes of one kind repeat nearby, if at all: less to search through, and shorter references
}
_ZSTD_LEVEL = 1
"""Higher ones take several times as long for one or two parts in a hundred."""


def create_packed(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    packing: Packing,
    chunk_shape: tuple[int, int, int] = CHUNK_SHAPE,
) -> h5py.Dataset:
    """An empty `(k, j, i)` dataset in chunks that are shuffled and packed."""
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_shuffle()
    if packing == "gzip":
        created.set_deflate(_DEFLATING["level"])
    else:
        # optional, so that the library does not look for its plug-in: it is not asked to pack
        created.set_filter(FILTER_ZSTD, h5py.h5z.FLAG_OPTIONAL, (_ZSTD_LEVEL,))
    chunks = tuple(min(most, length) for most, length in zip(chunk_shape, shape, strict=True))
    return group.create_dataset(name, shape, dtype, chunks=chunks, fill_time="never", dcpl=created)


def write_packed(dataset: h5py.Dataset, slabs: Iterable[NDArray[Any]]) -> None:
    """Fill a dataset of `create_packed`.

    Args:
        dataset: What to fill.
        slabs: Its values; each as many slices as a chunk has, the last one maybe fewer.
    """
    # asked once, for h5py answers one thread at a time
    shape, chunk_shape = dataset.shape, dataset.chunks
    slices, rows, columns = chunk_shape
    starts = [(j, i) for j in range(0, shape[1], rows) for i in range(0, shape[2], columns)]
    compress = _zstd if FILTER_ZSTD in filters_of(dataset) else _deflate

    def pack(slab: NDArray[Any]) -> list[bytes]:
        return [compress(_shuffled(slab[:, j : j + rows, i : i + columns], chunk_shape)) for j, i in starts]

    # closed here, for no thread may outlive what failed
    with closing(by_threads(pack, slabs)) as made:
        for number, packed in enumerate(made):
            for (j, i), chunk in zip(starts, packed, strict=True):
                dataset.id.write_direct_chunk((number * slices, j, i), chunk)


def _shuffled(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if values.shape != shape:  # at the end of an axis; chunks are stored whole
        values = np.pad(values, [(0, whole - part) for whole, part in zip(shape, values.shape, strict=True)])
    words = np.ascontiguousarray(values).view(f"<u{values.itemsize}").ravel()
    shuffled = np.empty((values.itemsize, words.size), np.uint8)
    for place, plane in enumerate(shuffled):
        np.copyto(plane, words >> np.uint8(8 * place), casting="unsafe")
    return shuffled


def _deflate(shuffled: NDArray[np.uint8]) -> bytes:
    packed: bytes = igzip_lib.compress(shuffled, **_DEFLATING)
    return packed


def _zstd(shuffled: NDArray[np.uint8]) -> bytes:
    from imagecodecs import zstd_encode

    # its stubs know fewer kinds of buffers than it takes
    return bytes(zstd_encode(shuffled, _ZSTD_LEVEL))  # type: ignore[arg-type]
