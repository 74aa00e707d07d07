"""Which series a model takes. All of it is known from headers, so it is refused when a job is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import Geometry
from dlp_lab.models.description import ModelDescription


def refuse_geometry(description: ModelDescription, geometry: Geometry) -> None:
    """Refuse a grid that the model was not made for.

    Raises:
        InputUnsuitable: The message says what was expected.
    """
    limits, spacing = description.constraints, geometry.spacing_kji_mm
    shown = " x ".join(f"{mm:.3g}" for mm in spacing)
    if limits.spacing_max_mm is not None and max(spacing) > limits.spacing_max_mm * (1 + 1e-3):
        raise InputUnsuitable(
            f"model {description.name} takes voxels of at most {limits.spacing_max_mm:g} mm, and those of the series "
            f"are {shown} mm; choose a finer series"
        )
    if limits.spacing_min_mm is not None and min(spacing) < limits.spacing_min_mm * (1 - 1e-3):
        raise InputUnsuitable(
            f"model {description.name} takes voxels of at least {limits.spacing_min_mm:g} mm, and those of the series "
            f"are {shown} mm; choose a coarser series"
        )
    if limits.min_extent_mm is not None:
        extents = sorted(n * mm for n, mm in zip(geometry.shape, spacing, strict=True))
        needed = sorted(limits.min_extent_mm)
        if any(extent < least for extent, least in zip(extents, needed, strict=True)):
            covered = " x ".join(f"{mm:.0f}" for mm in extents)
            wanted = " x ".join(f"{mm:g}" for mm in needed)
            raise InputUnsuitable(
                f"model {description.name} needs {wanted} mm of the body; the series covers {covered}"
            )


def refuse_modality(description: ModelDescription, modality: str | None, channel: int = 0) -> None:
    """Refuse images of another modality than the model was trained on.

    Raises:
        InputUnsuitable: The message names both.
    """
    wanted = description.input.channels[channel]
    if wanted.modality and modality not in wanted.modality:
        of_channel = f" as {wanted.name}" if len(description.input.channels) > 1 else ""
        raise InputUnsuitable(
            f"model {description.name} is made for {' and '.join(wanted.modality)}{of_channel}; "
            f"the series is {modality or 'of no modality'}"
        )


def refuse_unit(description: ModelDescription, unit: str | None) -> None:
    """Refuse a source whose derived series could not hold the unit of the model's values.

    Raises:
        InputUnsuitable: The message names both.
    """
    made = description.output.unit
    if made is not None and unit is not None and made != unit:
        raise InputUnsuitable(
            f"model {description.name} makes values in {made}, and those of the series are in {unit}: a series derived "
            "from it could not say so"
        )


class Channel(Protocol):
    """What is known of the series of a channel: of a `Volume`, or of its headers alone."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def modality(self) -> str | None: ...

    @property
    def unit(self) -> str | None: ...


def refuse_unsuitable(description: ModelDescription, series: Sequence[Channel]) -> None:
    """Refuse series that the model was not made for.

    Args:
        description: Of the model.
        series: One for each channel, in their order.

    Raises:
        InputUnsuitable: Their number, modality, spacing, extent or unit is not what the model takes.
    """
    channels = description.input.channels
    if len(series) != len(channels):
        named = ", ".join(channel.name for channel in channels)
        raise InputUnsuitable(f"model {description.name} takes {len(channels)} series ({named}); got {len(series)}")
    refuse_geometry(description, series[0].geometry)
    refuse_unit(description, series[0].unit)
    for number, one in enumerate(series):
        refuse_modality(description, one.modality, number)
