"""What may be read of an HDF5 file that a stranger wrote.

HDF5 lets a file point at other files, declare arrays larger than any memory, and ask for code to be loaded. Everything
here is looked at before a single value is read: an object is reached by hard links alone, its values lie in this very
file, are numbers, are of a size that can be held, and pass only filters that come with every HDF5 library, or that
`hdf5_chunks` undoes without it.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import DlpError, Hdf5Error
from dlp_lab.store.checked_content import CheckedContent
from dlp_lab.store.hashing import hashed
from dlp_lab.store.hdf5_chunks import FILTER_ZSTD, UNPACKED_HERE, BrokenChunk, check_chunks, filters_of, read_chunked

MAX_BYTES = 8 * 2**30
MAX_CHUNK_BYTES = 64 * 2**20
MAX_OBJECTS = 10_000
MAX_ATTRIBUTE_BYTES = 64 * 2**10
MAX_EXPANSION = 1100
"""Deflate packs at most 1032 to 1. What declares more holds nothing but fill values."""
MAX_EXPANSION_ZSTD = 33_000
"""Zstandard packs at most 2**17 bytes into a block of 4 (RFC 8878, 3.1.1.2)."""

_READ_BYTES = 2 * 2**20
"""At once, so that they are hashed while they are in the processor's cache."""
_LZF = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_LZF, h5py.h5z.FILTER_FLETCHER32}
"""Left to the library, which comes with them; lzf packs at most 88 to 1."""
_ONE_OF = {h5py.h5z.FILTER_DEFLATE, FILTER_ZSTD}
"""What packs its like again can grow twice as it is unpacked."""
_NUMBERS = {h5py.h5t.INTEGER, h5py.h5t.FLOAT}


@contextmanager
def opened_guarded(path: Path) -> Iterator[GuardedFile]:
    """Open a file for guarded reading. Nothing is read but what is asked for.

    Raises:
        Hdf5Error: The file does not exist, is no HDF5 file, is damaged, or holds what is refused.
    """
    if not path.is_file():
        raise Hdf5Error(f"{path.name} {'is no file' if path.exists() else 'does not exist'}; give an HDF5 file")
    with ExitStack() as opened:
        try:
            content = opened.enter_context(io.FileIO(path))
            file = opened.enter_context(h5py.File(CheckedContent(content, path.name), "r"))
        except (DlpError, MemoryError):
            raise
        except Exception:  # h5py raises several kinds here too
            raise Hdf5Error(f"{path.name} is not a readable HDF5 file") from None
        try:
            yield GuardedFile(file, content, path.name)
        except (DlpError, MemoryError):
            raise
        except Exception as error:
            # h5py raises at least six kinds of exception on damaged files; all mean the same to the user
            raise Hdf5Error(f"{path.name} is damaged ({type(error).__name__}); make it again") from error


class GuardedFile:
    """An open file of which only what is harmless can be read. Paths are like "entry/volume/image".

    Every method raises `Hdf5Error` for what is refused, naming the file, the path and the reason.
    """

    def __init__(self, file: h5py.File, content: io.FileIO, name: str) -> None:
        self._file = file
        self._content = content
        self.name = name

    def holds(self, path: str) -> bool:
        """Whether there is an object, reached by hard links alone."""
        return self._object(path) is not None

    def text(self, path: str, attribute: str) -> str | None:
        """A text attribute, or None if it is absent."""
        value = self._attribute(path, attribute, {h5py.h5t.STRING})
        if value is None:
            return None
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if not isinstance(text, str) or not text.isprintable():
            raise self._refused(path, f"its attribute {attribute} is not a plain text")
        return text

    def numbers(self, path: str, attribute: str) -> tuple[float, ...] | None:
        """A numeric attribute, or None if it is absent."""
        value = self._attribute(path, attribute, _NUMBERS)
        return None if value is None else tuple(float(number) for number in np.ravel(value))

    def array(
        self, path: str, kinds: str = "iuf", max_bytes: int = MAX_BYTES, digest: hashlib._Hash | None = None
    ) -> NDArray[Any]:
        """The values of a dataset.

        Args:
            path: Of the dataset.
            kinds: Kinds of dtype that are expected: "i", "u", "f".
            max_bytes: Refuse what declares more, before anything is read.
            digest: To be told of the values, in C order.
        """
        dataset = self._checked(path, kinds, max_bytes)
        offset = dataset.id.get_offset()
        if offset is not None:
            values: NDArray[Any] = np.empty(dataset.shape, dataset.dtype)
            parts = self._filled(values.reshape(-1).view(np.uint8).data, offset)
            with closing(parts if digest is None else hashed(parts, digest)) as read:
                deque(read, maxlen=0)
            return values
        # None for chunks, and for few values, which lie among the declarations
        values = self._chunked(dataset, path) if dataset.chunks else dataset[()]
        if digest is not None:
            digest.update(values.data)
        return values

    def mapped(self, path: str) -> NDArray[Any] | None:
        """The values of a dataset as a read-only map of the file, of which nothing is read.

        None where there is no such map: the values are in chunks, or not in the byte order of this machine.
        """
        dataset = self._checked(path, "iuf", MAX_BYTES)
        # None for chunks, and for few values, which lie among the declarations
        offset = dataset.id.get_offset()
        if offset is None or not dataset.size or not dataset.dtype.isnative:
            return None
        return np.memmap(self._content, dataset.dtype, "r", offset, dataset.shape)

    def volumes(self) -> list[str]:
        """Paths of all 3-D datasets of numbers; links are not followed."""
        found: list[str] = []
        seen = 0

        def look(path: str, item: object) -> bool | None:
            nonlocal seen
            seen += 1
            if isinstance(item, h5py.Dataset) and item.ndim == 3 and _holds_numbers(item):
                found.append(path)
            return True if seen > MAX_OBJECTS else None

        if self._file.visititems(look):
            raise Hdf5Error(f"{self.name} holds more than {MAX_OBJECTS} objects; give a file with one volume")
        return found

    # --- looking before reading ---------------------------------------------------------------------------------------

    def _object(self, path: str) -> h5py.Group | h5py.Dataset | None:
        node: h5py.Group | h5py.Dataset = self._file
        for part in filter(None, path.split("/")):
            if not isinstance(node, h5py.Group):
                return None
            try:
                link = node.get(part, getlink=True)
            except TypeError:
                raise self._refused(path, "it is a link of an unknown kind") from None
            if link is None:
                return None
            # a link can lead into other files, which a stranger's file could choose at will
            if not isinstance(link, h5py.HardLink):
                raise self._refused(path, "it is a link, and links are not followed")
            node = node[part]
        return node

    def _dataset(self, path: str) -> h5py.Dataset:
        dataset = self._object(path)
        if dataset is None:
            raise self._refused(path, "it is absent, so the file lacks a part of its format")
        if not isinstance(dataset, h5py.Dataset):
            raise self._refused(path, "it is no dataset")
        return dataset

    def _checked(self, path: str, kinds: str, max_bytes: int) -> h5py.Dataset:
        dataset = self._dataset(path)
        self._check_storage(dataset, path)
        self._check_type(dataset, path, kinds)
        self._check_size(dataset, path, max_bytes)
        return dataset

    def _attribute(self, path: str, attribute: str, classes: set[int]) -> Any:
        owner = self._object(path)
        if owner is None or attribute not in owner.attrs:
            return None
        held = owner.attrs.get_id(attribute)
        if held.get_type().get_class() not in classes or held.get_storage_size() > MAX_ATTRIBUTE_BYTES:
            raise self._refused(path, f"its attribute {attribute} is not of the expected kind or size")
        return owner.attrs[attribute]

    def _check_storage(self, dataset: h5py.Dataset, path: str) -> None:
        created = dataset.id.get_create_plist()
        if created.get_layout() == h5py.h5d.VIRTUAL or created.get_external_count():
            raise self._refused(path, "it refers to data in other files, which is not read")
        filters = filters_of(dataset)
        known = set(filters) <= UNPACKED_HERE or set(filters) <= _LZF
        if not known or len(filters) > len(set(filters)) or set(filters) >= _ONE_OF:
            numbers = ", ".join(map(str, filters))
            raise self._refused(path, f"it is packed by filter {numbers}; write it with gzip")

    def _check_type(self, dataset: h5py.Dataset, path: str, kinds: str) -> None:
        if not _holds_numbers(dataset) or dataset.dtype.kind not in kinds:
            raise self._refused(path, "it does not hold the expected kind of values")
        if dataset.dtype.itemsize > 8:
            raise self._refused(path, f"its numbers have {dataset.dtype.itemsize} bytes; up to 8 are read")
        # their bytes are taken as they are
        if dataset.id.get_type() != h5py.h5t.py_create(dataset.dtype):
            raise self._refused(path, "its numbers are of a type that numpy does not have")

    def _check_size(self, dataset: h5py.Dataset, path: str, max_bytes: int) -> None:
        if dataset.shape is None:
            raise self._refused(path, "it is empty")
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        if declared > max_bytes:
            raise self._refused(path, f"it declares {declared:,} bytes; up to {max_bytes:,} are read")
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        if dataset.chunks and chunk > MAX_CHUNK_BYTES:
            raise self._refused(path, f"its chunks have {chunk:,} bytes; up to {MAX_CHUNK_BYTES:,} are read")
        stored = dataset.id.get_storage_size()
        expansion = MAX_EXPANSION_ZSTD if FILTER_ZSTD in filters_of(dataset) else MAX_EXPANSION
        if declared > (expansion * stored if dataset.chunks else stored):
            raise self._refused(path, f"it declares {declared:,} bytes but holds {stored:,}")

    # --- reading ------------------------------------------------------------------------------------------------------

    def _filled(self, buffer: memoryview, offset: int) -> Generator[memoryview]:
        """Read into the buffer; its parts, as they are filled."""
        self._content.seek(offset)
        while buffer:
            got = self._content.readinto(buffer[:_READ_BYTES])
            if not got:
                raise Hdf5Error(f"{self.name} ends before its values do; make it again")
            yield buffer[:got]
            buffer = buffer[got:]

    def _chunked(self, dataset: h5py.Dataset, path: str) -> NDArray[Any]:
        try:
            if set(filters_of(dataset)) <= UNPACKED_HERE:
                return read_chunked(self._content, dataset)
            check_chunks(self._content, dataset)
        except BrokenChunk as error:
            raise self._refused(path, str(error)) from None
        values: NDArray[Any] = dataset[()]
        return values

    def _refused(self, path: str, reason: str) -> Hdf5Error:
        return Hdf5Error(f"{self.name}: {path or '/'} is refused: {reason}")


def _holds_numbers(dataset: h5py.Dataset) -> bool:
    # asked of HDF5 itself, for h5py makes numpy types of much that is no number: enumerations, references, texts
    return dataset.id.get_type().get_class() in _NUMBERS
