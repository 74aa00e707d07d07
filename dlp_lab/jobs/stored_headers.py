"""The headers of a series of files, made ready to be stored with a volume.

The memory holds next to nothing of each: what waits to be written lies in files without names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from dlp_lab.dicom.header_archive import encode_header
from dlp_lab.dicom.header_json import HeaderModels, Model, acquisition_facts, in_order
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import Series
from dlp_lab.store.folded_headers import FoldedHeaders
from dlp_lab.store.hdf5_headers import StoredHeaders
from dlp_lab.store.metadata import write_json
from dlp_lab.waiting_bytes import WaitingBytes


@dataclass(frozen=True)
class SeriesHeaders:
    """What the headers of a series say, of `HeaderReading.finish`.

    Attributes:
        folded: Their encoded forms.
        common: DICOM JSON of the elements that all share.
        slice_json: DICOM JSON of the other elements of each, as texts.
        options: How the series was read.
        frames: For each slice the index of its file and of its frame; empty where files have one image.
    """

    folded: FoldedHeaders
    common: Model
    slice_json: WaitingBytes
    options: ReadOptions
    frames: tuple[tuple[int, int], ...]

    def stored(self, origin: Literal["source", "template"] = "source") -> StoredHeaders:
        """As an HDF5 file keeps them."""
        return StoredHeaders(
            self.folded,
            json.dumps(self.common),
            self.slice_json,
            origin,
            msgspec.json.encode(self.options).decode(),
            self.frames,
        )

    def slices(self) -> list[Model]:
        """DICOM JSON of the elements of each that not all share."""
        return [json.loads(text) for text in self.slice_json]

    def acquisition(self) -> dict[str, float]:
        """Numbers of the acquisition, and nothing of the patient."""
        return acquisition_facts(self.common)

    def write_metadata(self, folder: Path, source: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Write `source.json` and `result.json` into `folder`: what is told of each volume, and of the acquisition.

        Args:
            folder: Of the HDF5 files that have these headers.
            source, result: Of `volume_metadata`.

        Raises:
            OutputExists: One of the files exists.
        """
        for name, told in (("source", source), ("result", result)):
            write_json({**told, "acquisition": self.acquisition(), "headers": "full"}, folder / f"{name}.json")


class HeaderReading:
    """The headers of a series' files, read part by part; see `header_reading`."""

    def __init__(self, series: Series, folder: Path, waiting: ExitStack) -> None:
        self._series = series
        self._files = {header.path: header for header in series.headers}
        self._models = HeaderModels()
        self._folded = waiting.enter_context(closing(FoldedHeaders(folder)))
        self._first_json = waiting.enter_context(closing(WaitingBytes(folder)))
        self._slice_json = waiting.enter_context(closing(WaitingBytes(folder)))

    def read(self, count: int) -> None:
        """Read on, until those of the first `count` files are there.

        Raises:
            OSError: A file cannot be read, or the disk has no room for what waits.
        """
        for header in islice(self._files.values(), len(self._folded), count):
            encoded = encode_header(header)
            self._folded.add(encoded.pieces)
            self._first_json.append(json.dumps(self._models.add(encoded)).encode())

    def finish(self, options: ReadOptions) -> SeriesHeaders:
        """Read what is left. What is told stays until the context of `header_reading` is left.

        Args:
            options: How the series was read.
        """
        self.read(len(self._files))
        for number, text in enumerate(self._first_json):
            late = self._models.no_longer_common(number)
            whole = json.dumps(in_order({**json.loads(text), **late})).encode() if late else text
            self._slice_json.append(whole)
        number_of = {path: number for number, path in enumerate(self._files)}
        frames = tuple((number_of[h.path], h.frame) for h in self._series.headers if h.frame is not None)
        return SeriesHeaders(self._folded, self._models.common, self._slice_json, options, frames)


@contextmanager
def header_reading(series: Series, folder: Path) -> Iterator[HeaderReading]:
    """The headers of a series' files, whole.

    Args:
        series: Of files, or of frames of files.
        folder: Where they wait, if they are many.
    """
    with ExitStack() as waiting:
        yield HeaderReading(series, folder, waiting)
