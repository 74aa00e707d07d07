"""A series that is read slab by slab, each slice once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.compressed import FrameDecoder
from dlp_lab.dicom.read import StoredSlices, read_slices, values_dtype
from dlp_lab.dicom.rescale import ValueRange
from dlp_lab.dicom.series import Series
from dlp_lab.volume import Volume


def is_read_slice_by_slice(series: Series) -> bool:
    """Whether each slice of the volume is one of the series, neither padded nor resampled."""
    return series.resampling is None and len(series.headers) == series.geometry.shape[0]


class SlabReader:
    """Reads slabs of a series that `is_read_slice_by_slice`, one after the other.

    Slices that a slab shares with the one before it are kept from there.

    Args:
        series: The series.
        decode: Decodes compressed slices.
        see: Given the index of the first and the values of slices that were read, each time they are.
        settle: Called before the memory of slices that `see` was given is used again.
        most_slices: So many a slab will have at most, as far as is known: then none is moved for a thicker one.

    Attributes:
        dtype: The widest type that values needed so far.
        value_range: Least and greatest value of all slices that were read.
    """

    def __init__(
        self,
        series: Series,
        decode: FrameDecoder,
        see: Callable[[int, NDArray[Any]], None] | None = None,
        settle: Callable[[], None] | None = None,
        most_slices: int = 0,
    ) -> None:
        self._series = series
        self._most_slices = most_slices
        self._decode = decode
        self._see = see
        self._settle = settle
        self._slices = StoredSlices()
        self._first = 0
        self._voxels: NDArray[Any] = np.empty((0, *series.geometry.shape[1:]), values_dtype(series))
        self._room = self._voxels
        self.value_range = (np.inf, -np.inf)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._voxels.dtype

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was noticed so far, and accepted."""
        return (*self._series.warnings, *self._slices.warnings())

    def read(self, first: int, stop: int) -> Volume:
        """The slices from `first` to before `stop`, as a volume of their own, until the next ones are read.

        Raises:
            DicomError: As `read_volume`.
        """
        if self._settle is not None:
            self._settle()
        held = range(self._first, self._first + len(self._voxels))
        kept = self._voxels[first - held.start : stop - held.start] if first in held else self._voxels[:0]
        count, new = len(kept), self._series.headers[first + len(kept) : stop]
        if len(self._room) < stop - first or self._room.dtype != self.dtype:
            self._room = np.empty((max(stop - first, self._most_slices), *self._voxels.shape[1:]), self.dtype)
        self._room[:count] = kept
        values = read_slices(new, self._room[count : stop - first], self._slices, _to_nobody, self._decode)
        if values.dtype != self.dtype:
            self._room = self._room.astype(values.dtype)
            self._room[count : stop - first] = values
        for found in ValueRange.of_slices(values):
            low, high = self.value_range
            self.value_range = min(low, found.low), max(high, found.high)
        if self._see is not None:
            self._see(first + count, values)
        self._first, self._voxels = first, self._room[: stop - first]
        return Volume(
            voxels=self._voxels,
            geometry=self._series.geometry.slab(first, stop),
            unit=self._series.first.unit,
            modality=self._series.first.modality,
            source_series_uid=self._series.first.series_instance_uid or None,
            warnings=self.warnings,
        )


def _to_nobody(fraction: float, message: str) -> None:
    """The report of a slab's reading, of which its own progress says enough."""
