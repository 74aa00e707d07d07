"""The headers of a series of files, made ready to be stored with a volume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from dlp_lab.dicom.header_archive import CutHeader, encode_header
from dlp_lab.dicom.header_json import HeaderModels, Model, acquisition_facts
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import Series
from dlp_lab.store.hdf5_headers import StoredHeaders
from dlp_lab.store.metadata import write_json


@dataclass(frozen=True)
class SeriesHeaders:
    """What the headers of a series say.

    Attributes:
        pieces: For each file the pieces of its encoded header.
        common: DICOM JSON of the elements that all share.
        slices: DICOM JSON of the other elements of each.
        options: How the series was read.
        frames: For each slice the index of its file and of its frame; empty where files have one image.
    """

    pieces: tuple[tuple[bytes, ...], ...]
    common: Model
    slices: list[Model]
    options: ReadOptions
    frames: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, series: Series, options: ReadOptions) -> SeriesHeaders:
        """Read the headers of the series' files, whole."""
        return HeaderReading(series).finish(options)

    def stored(self, origin: Literal["source", "template"] = "source") -> StoredHeaders:
        """As an HDF5 file keeps them."""
        return replace(self._stored, origin=origin)

    @cached_property
    def _stored(self) -> StoredHeaders:
        return StoredHeaders(
            self.pieces,
            json.dumps(self.common),
            tuple(json.dumps(model) for model in self.slices),
            read_options_json=msgspec.json.encode(self.options).decode(),
            frames=self.frames,
        )

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
    """The headers of a series' files, read part by part.

    Args:
        series: Of files, or of frames of files.
    """

    def __init__(self, series: Series) -> None:
        self._series = series
        self._files = {header.path: header for header in series.headers}
        self._pieces: list[tuple[bytes, ...]] = []
        self._models = HeaderModels()
        self._known: dict[bytes, bytes] = {}

    def read(self, count: int) -> None:
        """Read on, until those of the first `count` files are there."""
        for header in islice(self._files.values(), len(self._pieces), count):
            encoded = _sharing(encode_header(header), self._known)
            self._models.add(encoded)
            self._pieces.append(encoded.pieces)

    def finish(self, options: ReadOptions) -> SeriesHeaders:
        """Read what is left.

        Args:
            options: How the series was read.
        """
        self.read(len(self._files))
        number_of = {path: number for number, path in enumerate(self._files)}
        frames = tuple((number_of[h.path], h.frame) for h in self._series.headers if h.frame is not None)
        common, slices = self._models.split()
        return SeriesHeaders(tuple(self._pieces), common, slices, options, frames)


def _sharing(header: CutHeader, known: dict[bytes, bytes]) -> CutHeader:
    """The same header, of pieces that are known where they are equal: what many headers have takes memory once."""
    return CutHeader(tuple(known.setdefault(piece, piece) for piece in header.pieces), header.walked)
