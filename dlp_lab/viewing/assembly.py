"""A source that DICOM or compression stands before, made ready to be shown: described, located, written out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from dlp_lab.dicom.compressed import decoded_here, frames_ahead
from dlp_lab.dicom.element_values import element_values
from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.header_archive import series_from_headers
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.pixel_data import encoded_frame, is_padded, stored_dtype
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.read import StoredSlices, read_volume
from dlp_lab.dicom.series import HeaderSource, Series, assemble, one_series
from dlp_lab.errors import DlpError, NoDicom
from dlp_lab.processors import available_processors
from dlp_lab.store.hdf5 import open_hdf5, read_hdf5_headers
from dlp_lab.viewing.header_elements import header_elements
from dlp_lab.viewing.series_messages import Source
from dlp_lab.viewing.shown_values import volume_info
from dlp_lab.viewing.slice_location import SliceLocation, rescaled
from dlp_lab.viewing.volume_info import HeaderElement, ShownType, VolumeInfo
from dlp_lab.volume import Volume

Slices = Iterator[tuple[int, NDArray[Any]]]


@dataclass
class Assembly:
    """A volume that can be shown.

    Attributes:
        info: What a viewer is told.
        headers: Of its slices; None where there are none.
        frame_of_reference_uid: In which it lies, if it is known.
        series: Its files, where each of them is a slice of the volume.
        volume: All of it, where it cannot be had otherwise.
    """

    info: VolumeInfo
    headers: HeaderSource | None
    frame_of_reference_uid: str | None
    series: Series | None = None
    volume: Volume | None = None

    def locations(self) -> list[SliceLocation]:
        """Where each slice can be read by itself; empty if one cannot."""
        if self.series is None or not all(map(_lies_plain, self.series.headers)):
            return []
        return [_location(header, *_rescale(header, self.info)) for header in self.series.headers]

    def slices(self) -> Slices:
        """All slices as they are shown, each with its index; the middle ones first."""
        if self.volume is not None:
            for k in _from_the_middle(len(self.volume.voxels)):
                yield k, self.volume.voxels[k]
        elif self.series is not None:
            yield from _slices_of(self.series, self.info)

    def elements(self, k: int) -> list[HeaderElement]:
        """The header of slice `k`; empty where it has none."""
        if self.headers is None:
            return []
        numbers = {index: number for number, index in enumerate(self.headers.indices)}
        number = numbers.get(k, min(k, len(self.headers.headers) - 1) if not numbers else None)
        return [] if number is None else header_elements(self.headers.dataset(number))


def assembled(source: Source) -> Assembly:
    """Open a source.

    Raises:
        DlpError: It is refused, as elsewhere.
    """
    path = Path(os.fsdecode(source.path))
    if source.kind == "hdf5":
        return _of_hdf5(path)
    root, skip = Path(os.fsdecode(source.root)), Path(os.fsdecode(source.skip))
    if source.kind == "folder":
        series = one_series(path, source.options, root, skip)
    else:
        series = _series_of_file(path, root, source.options)
    return _of_series(series)


def _of_hdf5(path: Path) -> Assembly:
    volume = open_hdf5(path)
    headers: HeaderSource | None = None
    stored = read_hdf5_headers(path)
    if stored is not None:
        options = msgspec.json.decode(stored.read_options_json, type=ReadOptions)
        headers = series_from_headers(stored.encoded, path.name, options, stored.frames)
    info = msgspec.structs.replace(volume_info(volume), has_headers=headers is not None, **_display(headers))
    return Assembly(info, headers, volume.geometry.frame_of_reference_uid, volume=volume)


def _series_of_file(path: Path, root: Path, options: ReadOptions) -> Series:
    scan = find_series(path.parent, root, below=False)
    for uid, headers in scan.series.items():
        if any(header.path == path for header in headers):
            broken = [f"{item.path.name} was left out: {item.error}" for item in scan.broken]
            return assemble(scan.series[uid], options, broken)
    for item in scan.broken:
        if item.path == path:
            raise item.error
    reason = next((item.reason for item in scan.ignored if item.path == path), "it is not there")
    raise NoDicom(f"{path.name} is no DICOM image: {reason}")


def _of_series(series: Series) -> Assembly:
    grid = series.geometry
    if series.resampling is not None or len(series.headers) != grid.shape[0]:
        volume = read_volume(series)
        info = msgspec.structs.replace(volume_info(volume), has_headers=True, **_display(series))
        return Assembly(info, series, grid.frame_of_reference_uid, volume=volume)
    travelling = _travelling(series)
    info = VolumeInfo(
        shape=grid.shape,
        affine_kji_to_lps=grid.affine_kji_to_lps.tolist(),
        dtype=travelling.dtype,
        slope=travelling.slope,
        intercept=travelling.intercept,
        unit=series.first.unit,
        modality=series.first.modality,
        slice_files=[_sendable_name(header) for header in series.headers],
        has_headers=True,
        warnings=list(series.warnings),
        **_display(series),
    )
    return Assembly(info, series, grid.frame_of_reference_uid, series=series)


def _sendable_name(header: Header) -> str:
    return header.name.encode("utf-8", "replace").decode()


def _display(headers: HeaderSource | None) -> dict[str, Any]:
    """How the middle slice asks to be shown."""
    if headers is None:
        return {}
    middle = len(headers.headers) // 2
    inverted = headers.headers[middle].photometric_interpretation == "MONOCHROME1"
    with quiet():
        try:
            dataset = headers.dataset(middle)
            center, width = (element_values(dataset, name) for name in ("WindowCenter", "WindowWidth"))
            window = (float(center[0]), float(width[0])) if center and width else None
        except (DlpError, MemoryError):
            raise
        except Exception:  # a broken recommendation is none
            window = None
    if window is None or not np.isfinite(window).all() or window[1] <= 0:
        return {"inverted": inverted}
    return {"inverted": inverted, "window": (window[0] - window[1] / 2, window[0] + window[1] / 2)}


class _Travelling(NamedTuple):
    """In which type the slices of a series travel, and how the viewer makes real values of it."""

    dtype: ShownType
    slope: float = 1.0
    intercept: float = 0.0


def _travelling(series: Series) -> _Travelling:
    """From what the headers declare, for the values are not there yet: real values of 16 bits, else stored ones."""
    rescales = {(header.rescale_slope, header.rescale_intercept) for header in series.headers}
    real = _type_of(series)
    (slope, intercept), *others = rescales
    signed = {header.signed for header in series.headers}
    if real == "int16" or others or len(signed) > 1 or slope <= 0 or (slope, intercept) == (1, 0):
        return _Travelling(real)
    if any(header.bits_allocated > 16 for header in series.headers):
        return _Travelling(real)
    fits = signed == {True} or all(header.bits_stored < 16 for header in series.headers)
    return _Travelling("int16" if fits else "uint16", slope, intercept)


def _type_of(series: Series) -> ShownType:
    """The smallest type of all real values that there may be."""
    if any(header.rescale_slope != 1 or header.rescale_intercept % 1 for header in series.headers):
        return "float32"
    least = min(header.rescale_intercept - (header.signed << (header.bits_stored - 1)) for header in series.headers)
    greatest = max(
        header.rescale_intercept + (1 << (header.bits_stored - header.signed)) - 1 for header in series.headers
    )
    if least >= -(2**15) and greatest < 2**15:
        return "int16"
    if least >= 0 and greatest < 2**16:
        return "uint16"
    return "int32" if least >= -(2**31) and greatest < 2**31 else "float32"


def _lies_plain(header: Header) -> bool:
    foreign = DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
    return not _is_compressed(header) and header.transfer_syntax_uid not in foreign and not is_padded(header)


def _is_compressed(header: Header) -> bool:
    return header.pixels is not None and header.pixels.length is None


def _rescale(header: Header, info: VolumeInfo) -> tuple[float, float]:
    """Slope and intercept to apply before a slice travels: none where the viewer does it."""
    if (info.slope, info.intercept) != (1, 0):
        return 1.0, 0.0
    return header.rescale_slope, header.rescale_intercept


def _location(header: Header, slope: float, intercept: float) -> SliceLocation:
    assert header.pixels is not None
    return SliceLocation(
        path=os.fsencode(header.path),
        offset=header.pixels.offset,
        dtype=stored_dtype(header).newbyteorder("<").str,
        unused_bits=header.bits_allocated - header.bits_stored,
        slope=slope,
        intercept=intercept,
    )


def _slices_of(series: Series, info: VolumeInfo) -> Slices:
    order = _from_the_middle(len(series.headers))
    compressed = [k for k in order if _is_compressed(series.headers[k])]
    threads = max(1, available_processors() // 2)
    shape = series.first.rows, series.first.columns
    ring = [np.empty(shape, np.int16) for _ in range(frames_ahead(threads) + 2)]
    frames = [encoded_frame(series.headers[k]) for k in compressed]
    places = [ring[n % len(ring)] for n in range(len(frames))]
    plain = StoredSlices()
    with closing(decoded_here(frames, places, threads)) as decoded:
        for k in order:
            header = series.headers[k]
            stored = next(decoded) if _is_compressed(header) else plain.read(header, np.empty(shape, np.int16))
            yield k, rescaled(stored, 0, *_rescale(header, info), info.dtype)


def _from_the_middle(count: int) -> list[int]:
    return sorted(range(count), key=lambda k: abs(k - count // 2))
