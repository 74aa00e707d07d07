"""The steps that make a scanner's values those that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

_LEAST_SPAN = 1e-8


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
    inside: NDArray[np.bool_] | None = None,
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
    chosen = values[values > 0] if step.of == "positive" else values
    if chosen.size == 0:
        return 0.0, 0.0
    low = chosen.min() if step.low is None else np.percentile(chosen, step.low)
    high = chosen.max() if step.high is None else np.percentile(chosen, step.high)
    return float(low), float(high)


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


def _zscore(values: FloatVolume, step: ZScore, scaling: Scaling, inside: NDArray[np.bool_] | None) -> None:
    where = values != 0 if step.nonzero else np.ones(1, bool)
    if step.fill_holes:
        from scipy import ndimage

        where = ndimage.binary_fill_holes(where if inside is None else inside)
    chosen = values[where] if step.nonzero else values
    mean = float(chosen.mean(dtype=np.float64)) if step.mean is None and chosen.size else step.mean or 0.0
    std = float(chosen.std(dtype=np.float64)) if step.std is None and chosen.size else step.std or 1.0
    np.subtract(values, np.float32(mean), out=values, where=where)
    np.divide(values, np.float32(max(std, _LEAST_SPAN)), out=values, where=where)
    scaling.preceded_by(max(std, _LEAST_SPAN), mean)
