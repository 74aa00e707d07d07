"""What a viewer is told of a volume: one type for REST, for notebooks and (generated) TypeScript."""

from __future__ import annotations

from typing import Literal

import msgspec

ShownType = Literal["int16", "uint16", "int32", "float32"]
"""The types in which slices travel, little endian."""


class VolumeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A volume without its voxels.

    Attributes:
        shape: Number of slices, rows and columns, (k, j, i).
        affine_kji_to_lps: Index to millimetres in the patient, four rows of four numbers.
        dtype: In which slices travel, little endian.
        slope, intercept: The real value is the one that travels x slope + intercept.
        unit: Of the values; null where the modality has none.
        modality: DICOM Modality; null if unknown.
        inverted: Whether least is to be shown white, as MONOCHROME1 asks for.
        window: Least and greatest value to show, as the file recommends; null if it does not.
        slice_files: Name of the file of each slice; empty where there are none.
        has_headers: Whether the headers of slices can be asked for.
        resampled: Whether it lies on another grid and is shown interpolated along the planes of the one it is compared
            with; it has no value where it does not reach.
        warnings: What was noticed in the source and accepted.
    """

    shape: tuple[int, int, int]
    affine_kji_to_lps: list[list[float]]
    dtype: ShownType
    unit: str | None
    modality: str | None
    slope: float = 1.0
    intercept: float = 0.0
    inverted: bool = False
    window: tuple[float, float] | None = None
    slice_files: list[str] = []
    has_headers: bool = False
    resampled: bool = False
    warnings: list[str] = []


class HeaderElement(msgspec.Struct, frozen=True):
    """One element of a DICOM header, for people to read.

    Attributes:
        depth: How many sequences it is in.
        tag: As "(0010,0010)".
        vr: Its value representation.
        name: What the standard calls it.
        value: As text; that of long or binary elements is described.
    """

    depth: int
    tag: str
    vr: str
    name: str
    value: str
