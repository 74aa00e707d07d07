"""How a folder is to be read: which of its images, and what may be repaired; and how a result is to be written."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, ValidationError, convert

from dlp_lab.errors import BadParameters

OutputForm = Literal["series", "multiframe", "parametric_map"]
"""How a result is written: a series like its source, one multi-frame image, or one Parametric Map (float)."""
OUTPUT_FORMS: tuple[OutputForm, ...] = get_args(OutputForm)


class ReadOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which images of a folder to read, and which repairs to make: by default all, and none."""

    series: Annotated[
        str | None,
        Meta(title="Series", description="SeriesInstanceUID, where the folder holds several series."),
    ] = None
    select: Annotated[
        dict[str, str],
        Meta(
            title="Select",
            description="Values of DICOM attributes that the images must have, such as EchoTime: 12, where several "
            "images lie at one place.",
        ),
    ] = {}
    gaps: Annotated[
        Literal["refuse", "pad"],
        Meta(title="Missing slices", description="pad fills them with the least value of the series."),
    ] = "refuse"
    irregular: Annotated[
        Literal["refuse", "resample"],
        Meta(title="Uneven spacing", description="resample interpolates linearly to even spacing."),
    ] = "refuse"
    tilt: Annotated[
        Literal["refuse", "keep", "resample"],
        Meta(
            title="Gantry tilt",
            description="keep gives a sheared volume, which tasks that measure in mm refuse; resample shifts the "
            "slices to a rectangular one by linear interpolation.",
        ),
    ] = "refuse"


DEFAULT_OPTIONS = ReadOptions()


def read_options(options: dict[str, Any]) -> ReadOptions:
    """Options from their names and values.

    Raises:
        BadParameters: An option is unknown or has another value than allowed; the message names it.
    """
    try:
        return convert(options, ReadOptions)
    except ValidationError as error:
        known = ", ".join(ReadOptions.__struct_fields__)
        raise BadParameters(f"reading: {error}. The options: {known}.") from None


def checked_form(form: str) -> OutputForm:
    """The form of output of that name.

    Raises:
        BadParameters: There is none.
    """
    if form not in OUTPUT_FORMS:
        raise BadParameters(f"no output form named {form!r}; there are: {', '.join(OUTPUT_FORMS)}")
    return form
