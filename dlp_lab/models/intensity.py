"""The steps that make a scanner's values those that a network was trained on.

What is looked at of all values lies in files where volumes do, or is made piece by piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlp_lab.large_arrays import volume_array
from dlp_lab.models.description import (
    Clip,
    Crop,
    PercentileScale,
    PiecewiseLinear,
    Resample,
    ScaleRange,
    Step,
    ZScore,
)

FloatVolume = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LEAST_SPAN = 1e-8
_SUMMED_AT_ONCE = 2**20


@dataclass
class Scaling:
    """The way back from changed values to the source's: `value * factor + shift`. Clipping is not undone."""

    factor: float = 1.0
    shift: float = 0.0

    def preceded_by(self, factor: float, shift: float) -> None:
        """Go through `value * factor + shift` first, which undoes a step that was done later."""
        self.shift += shift * self.factor
        self.factor *= factor


def apply_steps(
    values: FloatVolume,
    steps: Sequence[Step],
    modality: str | None,
    channel: str | None = None,
    scaling: Scaling | None = None,
    inside: Mask | None = None,
) -> FloatVolume:
    """Change `values`, in place where that is possible, and return them.

    Args:
        values: `(a, b, c)` of one channel.
        steps: In their order; those that change the grid are passed over.
        modality: Of the series that the values come from.
        channel: Name of the input channel, for steps that are for some alone.
        inside: `(a, b, c)` where any channel of several was not zero, if that was looked at.
        scaling: Comes to lead from the new values to what it led to from the old ones.
    """
    scaling = scaling or Scaling()
    for step in steps:
        if isinstance(step, Resample | Crop) or (step.only_channels and channel not in step.only_channels):
            continue
        if isinstance(step, Clip):
            np.clip(values, step.low, step.high, out=values)
        elif isinstance(step, ScaleRange):
            _scale(values, step.from_low, step.from_high - step.from_low, step, scaling)
        elif isinstance(step, PercentileScale):
            low, high = _percentiles(values, step)
            _scale(values, low, high - low + step.epsilon, step, scaling)
        elif isinstance(step, ZScore):
            _zscore(values, step, scaling, inside)
        elif isinstance(step, PiecewiseLinear) and (not step.only_modality or modality in step.only_modality):
            for plane in values:
                plane[...] = np.interp(plane, step.from_values, step.to_values)
    return values


def _percentiles(values: FloatVolume, step: PercentileScale) -> tuple[float, float]:
    chosen = _chosen(values, _where(np.greater, values)) if step.of == "positive" else values
    if chosen.size == 0:
        return 0.0, 0.0
    low = chosen.min() if step.low is None else _percentile(chosen, step.low)
    high = chosen.max() if step.high is None else _percentile(chosen, step.high)
    return float(low), float(high)


def _percentile(values: FloatVolume, share: float) -> float:
    own: FloatVolume = volume_array(values.shape, np.float32)
    own[...] = values
    return float(np.percentile(own, share, overwrite_input=True))


def _where(compare: np.ufunc, values: FloatVolume) -> Mask:
    """Where values are other than 0 in a certain way."""
    found: Mask = compare(values, 0, out=volume_array(values.shape, bool))
    return found


def _chosen(values: FloatVolume, where: Mask) -> FloatVolume:
    """`(n,)` values of the voxels where, in their order."""
    chosen: FloatVolume = volume_array((int(np.count_nonzero(where)),), np.float32)
    end = 0
    for plane, is_chosen in zip(values, where, strict=True):
        found = plane[is_chosen]
        first, end = end, end + len(found)
        chosen[first:end] = found
    return chosen


def _standard_deviation(values: FloatVolume) -> float:
    """As numpy's in float64, to the last bit, which makes an array of the deviations of all values first."""
    mean, flat = values.mean(dtype=np.float64), values.ravel()

    def squares(first: int, end: int) -> float:
        if end - first > _SUMMED_AT_ONCE:  # halved as numpy halves what it sums up
            half = first + (end - first) // 16 * 8
            return squares(first, half) + squares(half, end)
        deviations = np.subtract(flat[first:end], mean, dtype=np.float64)
        deviations *= deviations
        return float(deviations.sum())

    return math.sqrt(squares(0, flat.size) / flat.size)


def _scale(values: FloatVolume, low: float, span: float, step: ScaleRange | PercentileScale, scaling: Scaling) -> None:
    """An image of one value alone becomes `to_low`: there is no span to divide by."""
    factor = (step.to_high - step.to_low) / span if abs(span) > _LEAST_SPAN else 0.0
    values -= np.float32(low)
    values *= np.float32(factor)
    values += np.float32(step.to_low)
    back = 1 / factor if factor else 0.0
    scaling.preceded_by(back, low - step.to_low * back)
    if step.clip:
        np.clip(values, *sorted((step.to_low, step.to_high)), out=values)


def _zscore(values: FloatVolume, step: ZScore, scaling: Scaling, inside: Mask | None) -> None:
    where = _where(np.not_equal, values) if step.nonzero else np.ones(1, bool)
    if step.fill_holes:
        from scipy import ndimage

        where = ndimage.binary_fill_holes(where if inside is None else inside)
    chosen = _chosen(values, where) if step.nonzero else values
    mean = float(chosen.mean(dtype=np.float64)) if step.mean is None and chosen.size else step.mean or 0.0
    std = _standard_deviation(chosen) if step.std is None and chosen.size else step.std or 1.0
    np.subtract(values, np.float32(mean), out=values, where=where)
    np.divide(values, np.float32(max(std, _LEAST_SPAN)), out=values, where=where)
    scaling.preceded_by(max(std, _LEAST_SPAN), mean)
