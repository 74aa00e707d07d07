"""Which integers stand for which real values in the files that are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.header import Header
from dlp_lab.kernels.measures import Measures, measured
from dlp_lab.processors import in_parts

LEAST_STEPS = 16
"""Fewer steps than this between least and greatest value would lose what the values tell: a finer slope is chosen."""

_SLICES_OF_A_CALL = 8
"""Calls of numpy that are over too soon keep threads waiting for each other."""
_ROUNDING_OF_SUMS = 2**-17
"""Of their value: 64 units in the last place of float32, at least. A kernel as wide as an axis of 60 leaves 30."""


@dataclass(frozen=True)
class Rescale:
    """Stored value to real value: `real = stored * slope + intercept` (PS3.3 C.11.1).

    Attributes:
        slope_text, intercept_text: As written, at most 16 characters (VR DS, PS3.5 6.2).
        signed: PixelRepresentation of the 16-bit stored values.
        written: Whether RescaleSlope and RescaleIntercept are written. The MR image has none (PS3.3 A.4), so they are
            left out there when they say nothing.
    """

    slope_text: str
    intercept_text: str
    signed: bool
    written: bool

    @property
    def slope(self) -> float:
        return float(self.slope_text)

    @property
    def intercept(self) -> float:
        return float(self.intercept_text)

    def store(self, values: NDArray[Any]) -> NDArray[Any]:
        """16-bit integers for real values, rounded half to even; the error is at most half a slope.

        Args:
            values: Such as `choose_rescales` was asked for, so that they fit; of one slice, for they are copied. Of
                others nothing is said, and no warning given: who cannot know beforehand looks at their ranges.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            return self._stored(values)

    def _stored(self, values: NDArray[Any]) -> NDArray[Any]:
        dtype = np.dtype(np.int16 if self.signed else np.uint16)
        if self.keeps_integers and values.dtype.kind in "iu":
            stored: NDArray[Any] = values.astype(dtype, copy=False)
            # modulo 2^16, as the conversion is, so that what fits in the end is right whatever lies between
            if self.intercept:
                stored = stored - np.int64(self.intercept).astype(dtype)
            return stored
        if values.dtype == np.float32 and self.rounds_values_themselves:
            whole: NDArray[Any] = np.rint(values)
            whole -= np.float32(self.intercept)
            return whole.astype(dtype)
        steps: NDArray[Any] = values.astype(np.float64)
        steps -= self.intercept
        if self.slope != 1:
            steps /= self.slope
        np.rint(steps, out=steps)
        return steps.astype(dtype)

    @property
    def rounds_values_themselves(self) -> bool:
        """Whether the intercept may be taken off after values are rounded, and in float32.

        Half to even stays half to even by an even intercept; whole numbers far below 2^24 are exact in float32.
        """
        return self.slope == 1 and self.intercept % 2 == 0 and abs(self.intercept) < 2**23

    @property
    def keeps_integers(self) -> bool:
        """Whether integers are on its steps: stored values are these integers, shifted."""
        return self.slope == 1 and self.intercept % 1 == 0


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Least and greatest of some values; nan if one of them is."""

    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> ValueRange:
        return cls(float(values.min()), float(values.max()))

    @classmethod
    def of_slices(cls, voxels: NDArray[Any]) -> tuple[ValueRange, ...]:
        """Of each slice of a volume."""
        if voxels.dtype == np.int16:
            return cls.of_measures(measured(voxels))
        low, high = np.empty(len(voxels), voxels.dtype), np.empty(len(voxels), voxels.dtype)

        def find(first: int, end: int) -> None:
            for start in range(first, end, _SLICES_OF_A_CALL):
                part = slice(start, min(start + _SLICES_OF_A_CALL, end))
                voxels[part].min(axis=(1, 2), out=low[part])
                voxels[part].max(axis=(1, 2), out=high[part])

        in_parts(find, len(voxels))
        return cls._of_ends(low, high)

    @classmethod
    def of_measures(cls, found: Measures) -> tuple[ValueRange, ...]:
        """Of each slice that was measured."""
        return cls._of_ends(found.low, found.high)

    @classmethod
    def _of_ends(cls, low: NDArray[Any], high: NDArray[Any]) -> tuple[ValueRange, ...]:
        return tuple(map(cls, low.astype(float).tolist(), high.astype(float).tolist()))

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def greatest_magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))


def choose_rescales(
    headers: Sequence[Header], slices: Sequence[NDArray[Any]], ranges: Sequence[ValueRange] | None = None
) -> tuple[Rescale, ...]:
    """The rescale of each slice that describes its values in a series derived from slices with these headers.

    Where the slices have slopes of their own, as in PET, and every value lies on a step of its slice, each slice keeps
    its own: stored values then come back bit for bit. Otherwise all slices get the same one.

    The source's own slope and intercept are kept when all slices share them, all values fit in 16 bits with them, and
    they are fine enough to tell `LEAST_STEPS` values apart (or the values lie on their steps): a stored unit then means
    what it meant in the source. Otherwise the slope is chosen so that the values span the 16 bits, with intercept 0 for
    PET, as PS3.3 Table C.8-63 asks.

    Args:
        headers: One for each slice.
        slices: The values of each slice.
        ranges: Of each slice, where they are known already.
    """
    ranges = [ValueRange.of(values) for values in slices] if ranges is None else ranges
    if len({(header.rescale_slope, header.rescale_intercept) for header in headers}) > 1:
        kept = tuple(_own_rescale(header) for header in headers)
        if all(
            _fits(own, found) and _on_steps(own, [values], found)
            for own, values, found in zip(kept, slices, ranges, strict=True)
        ):
            return kept
    whole = ValueRange(min(found.low for found in ranges), max(found.high for found in ranges))
    return (_shared_rescale(headers, slices, whole),) * len(headers)


def _shared_rescale(headers: Sequence[Header], slices: Sequence[NDArray[Any]], whole: ValueRange) -> Rescale:
    first = headers[0]
    low, high = whole.low, whole.high
    absent = first.modality == "MR" and all(h.rescale_slope == 1 and h.rescale_intercept == 0 for h in headers)
    shared = {(header.rescale_slope, header.rescale_intercept) for header in headers}
    if len(shared) == 1:
        kept = Rescale(_decimal(first.rescale_slope), _decimal(first.rescale_intercept), first.signed, not absent)
        steps = (low - kept.intercept) / kept.slope, (high - kept.intercept) / kept.slope
        signed = _signedness(min(steps), max(steps), prefer_signed=first.signed)
        if signed is not None and (abs(steps[1] - steps[0]) >= LEAST_STEPS or _on_steps(kept, slices, whole)):
            return Rescale(kept.slope_text, kept.intercept_text, signed, kept.written)
    if first.modality == "PT":
        signed = low < 0
        slope = _at_least(max(-low / 32768, high / 32767) if signed else high / 65535)
        return Rescale(slope, "0", signed, written=True)
    if _differ_by_rounding(slices, whole):
        return Rescale("1", _decimal(low), signed=False, written=True)
    slope = _at_least((high - low) / 65000)
    # the intercept sits on a step, so that whole multiples of the slope stay exact
    intercept = _decimal(low if low == high else math.floor(low / float(slope)) * float(slope))
    return Rescale(slope, intercept, signed=False, written=True)


def _signedness(low: float, high: float, *, prefer_signed: bool) -> bool | None:
    """Whether 16-bit stored values are signed, or None if they do not fit at all. They are compared after rounding."""
    fits = {True: round(low) >= -32768 and round(high) <= 32767, False: round(low) >= 0 and round(high) <= 65535}
    if fits[prefer_signed]:
        return prefer_signed
    return not prefer_signed if fits[not prefer_signed] else None


def _own_rescale(header: Header) -> Rescale:
    return Rescale(_decimal(header.rescale_slope), _decimal(header.rescale_intercept), header.signed, written=True)


def _fits(rescale: Rescale, found: ValueRange) -> bool:
    ends = sorted((end - rescale.intercept) / rescale.slope for end in (found.low, found.high))
    return _signedness(ends[0], ends[1], prefer_signed=rescale.signed) == rescale.signed


def _on_steps(rescale: Rescale, slices: Sequence[NDArray[Any]], found: ValueRange) -> bool:
    if slices[0].dtype.kind in "iu" and rescale.keeps_integers:
        return True
    slope = abs(rescale.slope)
    # float32 values are off by their own rounding, which can be much for a small slope
    of_values = _ROUNDING_OF_SUMS if _differ_by_rounding(slices, found) else 2**-22
    rounding = of_values * found.greatest_magnitude / slope if slices[0].dtype == np.float32 else 0.0
    # it must be small beside what the values differ by, too: all of 0 to 0.0009 is near the step 0
    limit = min(1e-3 + rounding, 0.1, max(1e-4 * (found.high - found.low) / slope, rounding))
    return all(_distance_to_steps(rescale, values) <= limit for values in slices)


def _differ_by_rounding(slices: Sequence[NDArray[Any]], found: ValueRange) -> bool:
    """Whether values may be one and the same, computed as sums of float32 in several orders."""
    return (
        found.low < found.high
        and found.high - found.low <= _ROUNDING_OF_SUMS * found.greatest_magnitude
        and slices[0].dtype == np.float32
    )


def _distance_to_steps(rescale: Rescale, values: NDArray[Any]) -> float:
    """The greatest, as a part of a step."""
    steps = values.astype(np.float64)
    steps -= rescale.intercept
    steps /= rescale.slope
    steps -= np.rint(steps)
    return float(np.abs(steps, out=steps).max())


def _decimal(value: float) -> str:
    """The most exact decimal string of at most 16 characters."""
    return next(text for digits in range(16, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)


def _at_least(value: float) -> str:
    """A decimal string of at most 16 characters, not below `value`; 1 for 0, which divides as well."""
    text = _decimal(value)
    if float(text) < value:
        text = _decimal(value * (1 + 1e-9))
    return text if float(text) > 0 else "1"
