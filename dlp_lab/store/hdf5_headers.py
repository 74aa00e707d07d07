"""The DICOM headers inside an HDF5 volume, as bytes: what they mean is not known here.

Pieces that slices share are stored once. The hash covers the headers as they are put together again, so that no part
of the table can be changed unnoticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import Hdf5Error
from dlp_lab.store.folded_headers import FoldedHeaders
from dlp_lab.store.hdf5_guard import GuardedFile
from dlp_lab.waiting_bytes import WaitingBytes

Origin = Literal["source", "template"]

_GROUP = "entry/headers"
_MAX_BYTES = 2**30
"""Of all headers, unfolded too: a table that names one large piece many times would otherwise grow without end."""
_BYTES_AT_ONCE = 2**20


@dataclass(frozen=True)
class StoredHeaders:
    """Headers to be stored with a volume: one for each slice or, of multi-frame images, one for each file.

    Attributes:
        folded: Their encoded forms, in slice order.
        common_json, slice_json: The same headers as DICOM JSON, for readers: the elements that all share, and for each
            the others. ASCII, as `json.dumps` makes it.
        origin: "source" if the voxels are those of the images with these headers, "template" if they were made from
            them.
        read_options_json: How the images were made a volume, where that took a choice or a repair.
        frames: For each slice, the index of its header and that of its frame in that; empty where each header is of
            one slice.
    """

    folded: FoldedHeaders
    common_json: str
    slice_json: WaitingBytes
    origin: Origin = "source"
    read_options_json: str = "{}"
    frames: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class EncodedHeaders:
    """Headers as they are read.

    Attributes:
        encoded: The encoded headers.
        origin, read_options_json, frames: As in `StoredHeaders`.
    """

    encoded: tuple[bytes, ...]
    origin: Origin
    read_options_json: str
    frames: tuple[tuple[int, int], ...] = ()


def write_headers(file: h5py.File, headers: StoredHeaders) -> None:
    """Add headers to a volume's file."""
    group = file.create_group(_GROUP)
    group.attrs["NX_class"], group.attrs["origin"] = "NXcollection", headers.origin
    group.attrs["read_options"] = headers.read_options_json
    folded = headers.folded
    packed = {"compression": "gzip", "shuffle": True}
    _write_in_parts(
        group.create_dataset("pieces", (folded.pieces.size_bytes,), np.uint8, compression="gzip"),
        lambda start, end: np.frombuffer(folded.pieces.read(start, end), np.uint8),
    )
    group.create_dataset("piece_ends", data=np.array(folded.pieces.ends, dtype=np.int64), **packed)
    rows = iter(folded.numbers)
    _write_in_parts(
        group.create_dataset("slice_pieces", (len(folded), folded.most_pieces), np.int32, **packed),
        lambda start, end: _padded(islice(rows, end - start), folded.most_pieces),
    )
    group.attrs["sha256"] = folded.sha256
    if headers.frames:
        # frames count from 1, as in DICOM
        frames = np.array([(header, frame + 1) for header, frame in headers.frames], dtype=np.int32)
        group.create_dataset("frames", data=frames, fletcher32=True)
        group["frames"].attrs["sha256"] = _sha256([frames.tobytes()])
    group["common_json"] = np.bytes_(headers.common_json)
    dtype = np.dtype(f"S{max(np.diff(headers.slice_json.ends, prepend=0))}")
    texts = iter(headers.slice_json)
    _write_in_parts(
        group.create_dataset("slice_json", (len(headers.slice_json),), dtype, compression="gzip"),
        lambda start, end: np.array([*islice(texts, end - start)], dtype),
    )


def _write_in_parts(dataset: h5py.Dataset, part: Callable[[int, int], NDArray[Any]]) -> None:
    """Write a new dataset in whole chunks, the first rows first, for the memory need not hold all of it.

    Args:
        dataset: In chunks, and not held elsewhere: the last of them are written when it is let go.
        part: Makes the rows from one to another; asked for all, in turn.
    """
    rows = dataset.shape[0]
    chunk_bytes = dataset.chunks[0] * (dataset.nbytes // rows)
    at_once = dataset.chunks[0] * max(1, _BYTES_AT_ONCE // chunk_bytes)
    for start in range(0, rows, at_once):
        end = min(start + at_once, rows)
        dataset[start:end] = part(start, end)


def _padded(rows: Iterable[bytes], length: int) -> NDArray[np.int32]:
    """Rows of numbers, behind which -1 stands for none."""
    numbers = [np.frombuffer(row, np.int32) for row in rows]
    table = np.full((len(numbers), length), -1, np.int32)
    for row, found in zip(table, numbers, strict=True):
        row[: len(found)] = found
    return table


def read_headers(file: GuardedFile) -> EncodedHeaders | None:
    """The headers, or None if the file holds none.

    Raises:
        Hdf5Error: They are not as they were written.
    """
    if not file.holds(_GROUP):
        return None
    pool = file.array(f"{_GROUP}/pieces", "u", _MAX_BYTES).tobytes()
    ends = file.array(f"{_GROUP}/piece_ends", "i", _MAX_BYTES)
    table = file.array(f"{_GROUP}/slice_pieces", "i", _MAX_BYTES)
    if ends.ndim != 1 or table.ndim != 2 or table.max(initial=-1) >= ends.size:
        raise Hdf5Error(f"{file.name}: the table of its headers ({_GROUP}) makes no sense; make the file again")
    borders = np.clip(np.concatenate([[0], ends]), 0, len(pool))
    if np.diff(borders)[table[table >= 0]].sum() > _MAX_BYTES:
        raise Hdf5Error(f"{file.name}: its headers unfold to more than {_MAX_BYTES >> 30} GiB")
    headers = tuple(b"".join(pool[borders[n] : borders[n + 1]] for n in row if n >= 0) for row in table)
    if file.text(_GROUP, "sha256") != _sha256(headers):
        raise Hdf5Error(
            f"{file.name}: the headers are not those that were written (SHA-256 differs); make the file again"
        )
    return EncodedHeaders(
        headers,
        "source" if file.text(_GROUP, "origin") == "source" else "template",
        file.text(_GROUP, "read_options") or "{}",
        _read_frames(file, len(headers)),
    )


def _read_frames(file: GuardedFile, headers: int) -> tuple[tuple[int, int], ...]:
    path = f"{_GROUP}/frames"
    if not file.holds(path):
        return ()
    table = file.array(path, "i", _MAX_BYTES)
    right = table.ndim == 2 and table.shape[1] == 2 and table.size > 0 and table[:, 0].min() >= 0
    if not right or table[:, 0].max() >= headers or table[:, 1].min() < 1 or not _is_unchanged(file, path, table):
        raise Hdf5Error(f"{file.name}: the table of its frames ({path}) makes no sense; make the file again")
    return tuple((int(header), int(number) - 1) for header, number in table)


def _is_unchanged(file: GuardedFile, path: str, table: NDArray[Any]) -> bool:
    return file.text(path, "sha256") == _sha256([table.tobytes()])


def _sha256(headers: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for header in headers:
        digest.update(header)
    return digest.hexdigest()
