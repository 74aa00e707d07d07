"""From a volume back to DICOM: a derived series beside its source, of images of the same kind."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.derived_bytes import DerivedHeaders
from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.frame_groups import FILE_NAME
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.writable import PlannedSlices, broken_elements_named, planned_slices
from dlp_lab.dicom.write_enhanced import write_enhanced
from dlp_lab.processors import in_turns
from dlp_lab.volume import Volume

_SLICES_AT_ONCE = 16
"""As many as a slab is made of at least, so that no two of them are needed at a time."""


@dataclass(frozen=True)
class DerivedSeries:
    """What was written.

    Attributes:
        series_instance_uid: Of the new series.
        files: One for each slice that was written, in slice order; of a multi-frame source one for all.
        indices: Slice indices of what was written in the volume; padded slices are not written.
        rescales: How the stored values of each become real ones.
        float_rounding: Greatest rounding error of floating point pixels; None where pixels are integers.
    """

    series_instance_uid: str
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    rescales: tuple[Rescale, ...]
    float_rounding: float | None = None

    @property
    def rescale(self) -> Rescale:
        """That of the greatest slope."""
        return max(self.rescales, key=lambda rescale: abs(rescale.slope))

    @property
    def greatest_rounding_error(self) -> float:
        """How far a written value is from the computed one, at most."""
        return abs(self.rescale.slope) / 2 if self.float_rounding is None else self.float_rounding


def write_derived_series(
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as a series derived from `source`.

    Args:
        source: The series the result was made from; its headers are read again.
        result: `(k, j, i)` values in the source's unit, on the source's grid.
        folder: Existing empty folder; it gets `0001.dcm`, `0002.dcm`, ... in slice order, without padded slices; of an
            enhanced multi-frame source `0001.dcm` with a frame for each slice.
        derivation: What made the values.
        report: Called with the fraction written and the step's name.

    Raises:
        TemplateMismatch: The result does not lie on the source's grid, or is in another unit.
        TaskResultInvalid: A value is not finite, or too large for the decimal strings of DICOM.
        Malformed: An element that is to be copied is broken.
    """
    return write_planned_series(source, planned_slices(source, result, derivation), folder, derivation, report)


def write_planned_series(
    source: HeaderSource,
    planned: PlannedSlices,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None],
) -> DerivedSeries:
    """`write_derived_series` of slices that lie on the source's grid; what lies there of an earlier try is replaced."""
    places, rescales = planned.places, planned.rescales
    made = DerivedDataSets(source, derivation)
    if source.headers[0].frame is not None:
        path = folder / FILE_NAME
        path.unlink(missing_ok=True)
        with quiet(), broken_elements_named(source.headers[0]):
            write_enhanced(source, places, planned.slices, rescales, path, derivation, made.series_uid, report)
        report(1.0, "written")
        return DerivedSeries(made.series_uid, (path,), tuple(place.k for place in places), rescales)
    headers = DerivedHeaders(made, *source.geometry.shape[1:])
    files = tuple(folder / f"{number + 1:04d}.dcm" for number in range(len(places)))
    write = _FileWriter(source, planned, headers, files)
    slices = iter(planned.slices)
    for start in range(0, len(places), _SLICES_AT_ONCE):
        report(start / len(places), f"writing slice {start + 1} of {len(places)}")
        write.some(start, list(itertools.islice(slices, _SLICES_AT_ONCE)))
    report(1.0, "written")
    return DerivedSeries(made.series_uid, files, tuple(place.k for place in places), rescales)


class _FileWriter:
    """Writes the files of a series, several at a time.

    Args:
        source, planned: As for `write_planned_series`.
        headers: Of the files.
        files: A path for each of the planned slices.
    """

    def __init__(
        self, source: HeaderSource, planned: PlannedSlices, headers: DerivedHeaders, files: Sequence[Path]
    ) -> None:
        self._source = source
        self._planned = planned
        self._headers = headers
        self._files = files
        self._encoding = threading.Lock()

    def some(self, start: int, slices: Sequence[NDArray[Any]]) -> None:
        """Write the slices from the `start`th on."""

        def write(index: int) -> None:
            number = start + index
            header = self._header(number)
            stored = self._planned.rescales[number].store(slices[index])
            _write(self._files[number], header, np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")))

        in_turns(write, len(slices))

    def _header(self, number: int) -> bytes:
        place = self._planned.places[number]
        # one at a time, for it is Python's work; meanwhile others store and write
        with self._encoding, broken_elements_named(self._source.headers[place.header]):
            return self._headers.encode(place, number, self._planned.rescales[number])


def _write(path: Path, header: bytes, pixels: NDArray[Any]) -> None:
    """Write a file for its owner alone to read, in one call, and none of its bytes twice."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        left = [memoryview(header), pixels.data.cast("B")]
        while left:
            written = os.writev(descriptor, left)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:  # a full disk takes a part, and refuses the rest
                left[0] = left[0][written:]
    finally:
        os.close(descriptor)
