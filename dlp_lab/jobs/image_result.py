"""What the record of a job tells of a derived image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlp_lab.dicom.rescale import Rescale, ValueRange
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.geometry import Geometry
from dlp_lab.jobs.label_output import told_of_algorithm
from dlp_lab.store.provenance import value_profiles
from dlp_lab.tasks.task import ImageResult
from dlp_lab.volume import Volume


@dataclass(frozen=True)
class ExpectedValues:
    """What any reader must find in a derived series: made from the result itself, not from what was written.

    Attributes:
        shape: Of what was written, `(slices, rows, columns)`.
        value_range: Least and greatest value, on the steps of what was written.
        profiles: As `value_profiles` makes them.
    """

    shape: tuple[int, ...]
    value_range: tuple[float, float]
    profiles: dict[str, list[float]]

    @classmethod
    def of(cls, volume: Volume, written: DerivedSeries) -> ExpectedValues:
        voxels = volume.voxels
        if len(written.indices) < len(voxels):
            voxels = voxels[list(written.indices)]  # without padded slices
        steps = None if written.float_rounding is not None else shared_steps(written.rescales)
        profiles = value_profiles(voxels, *(steps or ()))
        ranges = ValueRange.of_slices(voxels)
        value_range = min(found.low for found in ranges), max(found.high for found in ranges)
        return cls(voxels.shape, on_steps(value_range, steps), profiles)


def on_steps(values: tuple[float, float], steps: tuple[float, float] | None) -> tuple[float, float]:
    """Values rounded to the nearest of `shared_steps`, where there are any."""
    if steps is None:
        return values
    slope, intercept = steps
    low, high = (round((value - intercept) / slope) * slope + intercept for value in values)
    return low, high


def shared_steps(rescales: Sequence[Rescale]) -> tuple[float, float] | None:
    """Slope and intercept of the steps that all slices are rounded to.

    Slices keep steps of their own only where all values lie on them already.
    """
    return (rescales[0].slope, rescales[0].intercept) if len(set(rescales)) == 1 else None


def told_of_computation(result: ImageResult) -> dict[str, object]:
    """What the record tells of how an image came about, from its result or a part of it."""
    return {
        "description": result.description,
        **({} if result.algorithm is None else {"algorithm": told_of_algorithm(result.algorithm)}),
        **({} if result.volume.unit is None else {"unit": result.volume.unit}),
    }


def told_of_image(
    computation: dict[str, object], written: DerivedSeries, geometry: Geometry, expected: ExpectedValues
) -> dict[str, object]:
    """The record's part about a derived image.

    Args:
        computation: Of `told_of_computation`.
        written: What was written.
        geometry: Grid of the whole result.
        expected: Its values.
    """
    return {
        **computation,
        "series_instance_uid": written.series_instance_uid,
        "files": [path.name for path in written.files],
        "rescale_slope": written.rescale.slope,
        "rescale_intercept": written.rescale.intercept,
        "greatest_rounding_error": written.greatest_rounding_error,
        "shape": list(expected.shape),
        "affine_kji_to_lps": geometry.affine_kji_to_lps.tolist(),
        "value_range": list(expected.value_range),
        "profiles": expected.profiles,
    }
