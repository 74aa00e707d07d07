"""What is checked and chosen before a derived image is written, in whichever form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import WrittenSlice, written_slices
from dlp_lab.dicom.element_values import LARGEST_NUMBER
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rescale import Rescale, ValueRange, choose_rescales
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.errors import DlpError, Malformed, TaskResultInvalid, TemplateMismatch
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume


def refuse_unwritable(source: HeaderSource, result: Volume) -> tuple[ValueRange, ...]:
    """Check a result against the series that it is to be derived from.

    Returns:
        The range of each slice's values, for `choose_rescales`: one pass over the volume serves both.

    Raises:
        TemplateMismatch: The result does not lie on the source's grid, or is in another unit.
        TaskResultInvalid: A value is not finite, or too large for the decimal strings of DICOM.
    """
    refuse_other_grid(result, source.geometry, source.headers[0].unit)
    ranges = ValueRange.of_slices(result.voxels)
    refuse_unwritable_values(ranges)
    return ranges


def refuse_other_grid(result: Volume, geometry: Geometry, unit: str | None) -> None:
    """Make sure that a result lies on the grid it is to be written on, in the unit of its source.

    Raises:
        TemplateMismatch: It does not.
    """
    if not result.geometry.matches(geometry):
        raise TemplateMismatch(
            f"the volume has {result.geometry.shape} voxels (slices, rows, columns), its series "
            f"{geometry.shape}, and they must lie at the same place (within 0.001 mm, in one frame of reference)"
        )
    if result.unit and unit and result.unit != unit:
        raise TemplateMismatch(f"the values are in {result.unit}, those of the series in {unit}")


def refuse_unwritable_values(ranges: Sequence[ValueRange]) -> None:
    """Make sure that DICOM can store values of these ranges.

    Raises:
        TaskResultInvalid: A value is not finite, or too large for the decimal strings of DICOM.
    """
    if not all(found.is_finite for found in ranges):
        raise TaskResultInvalid(
            "the result holds values that are not finite (nan or infinity); DICOM cannot store them"
        )
    if max(found.greatest_magnitude for found in ranges) >= LARGEST_NUMBER:
        raise TaskResultInvalid(f"the result holds values beyond {LARGEST_NUMBER:g}, which would not be read again")


@dataclass(frozen=True)
class PlannedSlices:
    """The slices of a derived image that are to be written.

    Attributes:
        places: Where each lies, and what it is made from; padded slices are not written.
        slices: `(rows, columns)` real values of each; they may be made when they are asked for, in order.
        rescales: How each is stored.
    """

    places: Sequence[WrittenSlice]
    slices: Sequence[NDArray[Any]]
    rescales: tuple[Rescale, ...]


def planned_slices(source: HeaderSource, result: Volume, derivation: Derivation) -> PlannedSlices:
    """What is written of a result that is there. Raises as `refuse_unwritable` does."""
    ranges = refuse_unwritable(source, result)
    places = written_slices(source, derivation.reach_slices)
    slices = [result.voxels[place.k] for place in places]
    headers = [source.headers[place.header] for place in places]
    return PlannedSlices(places, slices, choose_rescales(headers, slices, [ranges[place.k] for place in places]))


@contextlib.contextmanager
def broken_elements_named(header: Header) -> Iterator[None]:
    """Turn what pydicom raises on an element that it cannot copy into a refusal that names the file."""
    try:
        yield
    except (DlpError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on a value that it cannot write
        if isinstance(error, OSError) and error.errno:  # pydicom raises those of its own without a number
            raise
        raise Malformed(
            f"{header.path.name}: an element of its header is broken and cannot be copied into the result "
            f"({type(error).__name__}); export it again"
        ) from error
