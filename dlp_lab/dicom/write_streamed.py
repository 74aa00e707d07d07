"""A derived image whose slices are made while it is written, so that the memory need not hold all of them.

How integers stand for values follows from the values of all slices, and has to be known before the first one is
written. It is nearly always as in the source, so that is taken for granted, and looked at again when all values have
been seen. Only where it was wrong, or where the slices of the source do not agree, they are made a second time.

Where stored values are whole numbers of the source's unit, no fractions are kept, and slices may be made without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import written_slices
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.options import OutputForm
from dlp_lab.dicom.read import stored_range
from dlp_lab.dicom.rescale import LEAST_STEPS, Rescale, ValueRange, choose_rescales
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.writable import PlannedSlices, refuse_unwritable_values
from dlp_lab.dicom.write_derived import refuse_form, written_form
from dlp_lab.dicom.write_image import DerivedSeries, write_planned_series
from dlp_lab.dicom.write_multiframe import write_planned_multiframe
from dlp_lab.dicom.write_parametric_map import write_map_of_slices
from dlp_lab.kernels.measures import LineSums, measured
from dlp_lab.processors import in_parts

_SLICES_AT_ONCE = 16
"""Are looked at together: as many as a slab is made of at least, so that no two of them are needed at a time."""
_WRITERS = {"series": write_planned_series, "multiframe": write_planned_multiframe}


class Watcher(Protocol):
    """Sees what is written. `begin` is called before the first slice, and again if all are made anew.

    `see` is given values, the range of each slice, and the values as they are stored: rounded where they become whole
    numbers of the source's unit, or the same array; then also the sums of their lines, where these are known.
    """

    def begin(self, rescales: Sequence[Rescale]) -> None: ...

    def see(
        self,
        first: int,
        slices: NDArray[Any],
        ranges: Sequence[ValueRange],
        stored: NDArray[Any],
        sums: LineSums | None,
    ) -> None: ...


class SlicesOnDemand(Sequence[NDArray[Any]]):
    """`(rows, columns)` values on the source's grid, made when they are asked for; they are asked for in order.

    Attributes:
        whole_numbers: Whether values rounded half to even are enough. What makes other values may leave it unheeded.
    """

    whole_numbers: bool = False


def write_streamed(
    form: OutputForm,
    source: HeaderSource,
    slices: SlicesOnDemand,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None],
    watcher: Watcher,
    unit: str | None = None,
) -> DerivedSeries:
    """Write what `write_derived` would write of the same values, byte for byte.

    Args:
        form: What to write.
        source: The series that the values were made from, each of its slices one of the volume.
        slices: The values; asked for once, or twice. Their `whole_numbers` is taken back where fractions count.
        folder: Existing empty folder.
        derivation: What made the values.
        report: Called with the fraction written and the step's name.
        watcher: Sees each slice.
        unit: Of the values; None for that of the source.

    Raises:
        TaskResultInvalid, Malformed, DlpError: As `write_derived_series` and `refuse_form`.
    """
    refuse_form(form, source)
    watched = _Watched(slices, watcher)
    if form == "parametric_map":
        watcher.begin(())
        return write_map_of_slices(source, watched, unit, folder, derivation, report)
    write = _WRITERS[written_form(form, source)]
    places = written_slices(source, derivation.reach_slices)
    headers = [source.headers[place.header] for place in places]
    guess = stored_as_in_source(headers)
    slices.whole_numbers = slices.whole_numbers and are_whole_numbers(guess)
    if guess is not None:
        watcher.begin(guess)
        watched.are_rounded = are_whole_numbers(guess)
        written = write(source, PlannedSlices(places, watched, guess), folder, derivation, report)
        if slices.whole_numbers and _span(watched.ranges) <= LEAST_STEPS:
            guess = None  # with fewer steps than that, fractions count
    slices.whole_numbers = slices.whole_numbers and guess is not None
    if guess is None:
        for number, _ in enumerate(watched):
            report(number / len(places), f"looking at slice {number + 1} of {len(places)}")
    rescales = choose_rescales(headers, slices, watched.ranges)
    if guess is None or rescales != guess:
        slices.whole_numbers = False
        watcher.begin(rescales)
        watched.are_rounded = are_whole_numbers(rescales)
        written = write(source, PlannedSlices(places, watched, rescales), folder, derivation, report)
    return written


def stored_as_in_source(headers: Sequence[Header]) -> tuple[Rescale, ...] | None:
    """How values are stored if they lie where those of the source may lie; None if its slices do not agree."""
    if len({(header.rescale_slope, header.rescale_intercept) for header in headers}) > 1:
        return None
    alike = {(header.bits_stored, header.signed): header for header in headers}
    ranges = [_possible_range(header) for header in alike.values()]
    # with fewer steps it would be decided by the values themselves
    return (
        choose_rescales(headers, (), ranges) if _span(ranges) / abs(headers[0].rescale_slope) >= LEAST_STEPS else None
    )


def are_whole_numbers(rescales: Sequence[Rescale] | None) -> bool:
    """Whether what is stored is real values, rounded; so that nothing is lost if they were rounded before."""
    return rescales is not None and all(rescale.rounds_values_themselves for rescale in set(rescales))


def _span(ranges: Sequence[ValueRange]) -> float:
    return max(found.high for found in ranges) - min(found.low for found in ranges)


def _possible_range(header: Header) -> ValueRange:
    ends = sorted(end * header.rescale_slope + header.rescale_intercept for end in stored_range(header))
    return ValueRange(ends[0], ends[1])


class _Watched(Sequence[NDArray[Any]]):
    """Slices that are looked at as they pass by in order.

    Attributes:
        ranges: Those of the last time.
        are_rounded: Whether they are to be stored as whole numbers, and so rounded, once for all who want them so.

    Raises:
        TaskResultInvalid: From the iteration, at the first slice that cannot be written.
    """

    def __init__(self, slices: Sequence[NDArray[Any]], watcher: Watcher) -> None:
        self._slices = slices
        self._watcher = watcher
        self.ranges: list[ValueRange] = []
        self.are_rounded = False
        self._rounded = np.empty((0,), np.int16)

    def __len__(self) -> int:
        return len(self._slices)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        return self._slices[index]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        self.ranges = []
        for first in range(0, len(self), _SLICES_AT_ONCE):
            values = np.asarray(self._slices[first : first + _SLICES_AT_ONCE])
            found, stored, sums = self._looked_at(values)
            self.ranges += found
            self._watcher.see(first, values, found, stored, sums)
            yield from stored
            del values, stored  # a view would keep its slab in memory while the next one is computed

    def _looked_at(self, values: NDArray[Any]) -> tuple[tuple[ValueRange, ...], NDArray[Any], LineSums | None]:
        """Ranges of some slices, their values as they are stored, and the sums of these where they are int16."""
        if values.dtype == np.int16:  # whose range and sums are seen at one look
            measures = measured(values)
            return ValueRange.of_measures(measures), values, measures.sums
        found = ValueRange.of_slices(values)
        refuse_unwritable_values(found)
        stored = self._stored(values, found)
        return found, stored, measured(stored).sums if stored.dtype == np.int16 else None

    def _stored(self, values: NDArray[Any], ranges: Sequence[ValueRange]) -> NDArray[Any]:
        """Half to even, in memory that is used again for the next ones; values as they are where that is no gain."""
        whole = np.iinfo(np.int16)
        fit = all(whole.min <= found.low and found.high <= whole.max for found in ranges)
        if not self.are_rounded or values.dtype != np.float32 or not fit:
            return values
        if self._rounded.shape[1:] != values.shape[1:]:
            self._rounded = np.empty((_SLICES_AT_ONCE, *values.shape[1:]), np.int16)
        rounded = self._rounded[: len(values)]

        def round_some(first: int, end: int) -> None:
            for k in range(first, end):
                np.rint(values[k], out=rounded[k], casting="unsafe")

        in_parts(round_some, len(values))
        return rounded
