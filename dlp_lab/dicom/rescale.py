"""Which integers stand for which real values in the files that are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.header import Header

LEAST_STEPS = 16
"""Fewer steps than this between least and greatest value would lose what the values tell: a finer slope is chosen."""


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
        """16-bit integers for real values, rounded half to even; the error is at most half a slope."""
        dtype = np.int16 if self.signed else np.uint16
        if self.slope == 1 and values.dtype.kind in "iu" and self.intercept % 1 == 0:
            return (values.astype(np.int64) - int(self.intercept)).astype(dtype)
        return np.rint((values.astype(np.float64) - self.intercept) / self.slope).astype(dtype)


def choose_rescales(headers: Sequence[Header], values: NDArray[Any]) -> tuple[Rescale, ...]:
    """The rescale of each slice that describes `values` in a series derived from these slices.

    Where the slices have slopes of their own, as in PET, and every value lies on a step of its slice, each slice keeps
    its own: stored values then come back bit for bit. Otherwise all slices get the one of `choose_rescale`.
    """
    if len({(header.rescale_slope, header.rescale_intercept) for header in headers}) > 1:
        kept = tuple(_own_rescale(header) for header in headers)
        if all(_fits(own, plane) and _on_steps(own, plane) for own, plane in zip(kept, values, strict=True)):
            return kept
    return (choose_rescale(headers, values),) * len(headers)


def choose_rescale(headers: Sequence[Header], values: NDArray[Any]) -> Rescale:
    """The one rescale that describes `values` in all slices of a series derived from these.

    The source's own slope and intercept are kept when all slices share them, all values fit in 16 bits with them, and
    they are fine enough to tell `LEAST_STEPS` values apart (or the values lie on their steps): a stored unit then means
    what it meant in the source. Otherwise the slope is chosen so that the values span the 16 bits, with intercept 0 for
    PET, as PS3.3 Table C.8-63 asks.
    """
    first = headers[0]
    low, high = float(values.min()), float(values.max())
    absent = first.modality == "MR" and all(h.rescale_slope == 1 and h.rescale_intercept == 0 for h in headers)
    shared = {(header.rescale_slope, header.rescale_intercept) for header in headers}
    if len(shared) == 1:
        kept = Rescale(_decimal(first.rescale_slope), _decimal(first.rescale_intercept), first.signed, not absent)
        steps = (low - kept.intercept) / kept.slope, (high - kept.intercept) / kept.slope
        signed = _signedness(min(steps), max(steps), prefer_signed=first.signed)
        if signed is not None and (abs(steps[1] - steps[0]) >= LEAST_STEPS or _on_steps(kept, values)):
            return Rescale(kept.slope_text, kept.intercept_text, signed, kept.written)
    if first.modality == "PT":
        signed = low < 0
        slope = _at_least(max(-low / 32768, high / 32767) if signed else high / 65535)
        return Rescale(slope, "0", signed, written=True)
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


def _fits(rescale: Rescale, values: NDArray[Any]) -> bool:
    ends = sorted((float(end) - rescale.intercept) / rescale.slope for end in (values.min(), values.max()))
    return _signedness(ends[0], ends[1], prefer_signed=rescale.signed) == rescale.signed


def _on_steps(rescale: Rescale, values: NDArray[Any]) -> bool:
    if values.dtype.kind in "iu" and rescale.slope == 1 and rescale.intercept % 1 == 0:
        return True
    steps = (values.astype(np.float64) - rescale.intercept) / rescale.slope
    # float32 values are off by their own rounding, which can be much for a small slope
    rounding = 2**-22 * float(np.abs(values).max()) / abs(rescale.slope) if values.dtype == np.float32 else 0.0
    # it must be small beside what the values differ by, too: all of 0 to 0.0009 is near the step 0
    limit = min(1e-3 + rounding, 0.1, max(1e-4 * float(np.ptp(steps)), rounding))
    return bool(np.abs(steps - np.rint(steps)).max() <= limit)


def _decimal(value: float) -> str:
    """The most exact decimal string of at most 16 characters."""
    return next(text for digits in range(16, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)


def _at_least(value: float) -> str:
    """A decimal string of at most 16 characters, not below `value`; 1 for 0, which divides as well."""
    text = _decimal(value)
    if float(text) < value:
        text = _decimal(value * (1 + 1e-9))
    return text if float(text) > 0 else "1"
