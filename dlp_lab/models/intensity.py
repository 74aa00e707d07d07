"""The steps that make a scanner's values those that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_lab.models.description import Clip, PercentileScale, PiecewiseLinear, ScaleRange, Step, ZScore

FloatVolume = NDArray[np.float32]

_LEAST_SPAN = 1e-8


def apply_steps(values: FloatVolume, steps: Sequence[Step], modality: str | None) -> FloatVolume:
    """Change `values`, in place where that is possible, and return them."""
    for step in steps:
        if isinstance(step, Clip):
            np.clip(values, step.low, step.high, out=values)
        elif isinstance(step, ScaleRange):
            _scale(values, step.from_low, step.from_high - step.from_low, step)
        elif isinstance(step, PercentileScale):
            low, high = _percentiles(values, step)
            _scale(values, low, high - low + step.epsilon, step)
        elif isinstance(step, ZScore):
            _zscore(values, step)
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


def _scale(values: FloatVolume, low: float, span: float, step: ScaleRange | PercentileScale) -> None:
    """An image of one value alone becomes `to_low`: there is no span to divide by."""
    values -= np.float32(low)
    values *= np.float32((step.to_high - step.to_low) / span if abs(span) > _LEAST_SPAN else 0.0)
    values += np.float32(step.to_low)
    if step.clip:
        np.clip(values, *sorted((step.to_low, step.to_high)), out=values)


def _zscore(values: FloatVolume, step: ZScore) -> None:
    where = values != 0 if step.nonzero else np.ones(1, bool)
    if step.fill_holes:
        from scipy import ndimage

        where = ndimage.binary_fill_holes(where)
    chosen = values[where] if step.nonzero else values
    mean = float(chosen.mean(dtype=np.float64)) if step.mean is None and chosen.size else step.mean or 0.0
    std = float(chosen.std(dtype=np.float64)) if step.std is None and chosen.size else step.std or 1.0
    np.subtract(values, np.float32(mean), out=values, where=where)
    np.divide(values, np.float32(max(std, _LEAST_SPAN)), out=values, where=where)
