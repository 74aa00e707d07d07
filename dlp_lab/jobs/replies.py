"""What the doors tell of folders and of results. Imports nothing heavy."""

from __future__ import annotations

import msgspec


class SeriesSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A series of a folder.

    Attributes:
        series_instance_uid, description, modality, sop_class: From its first file; the class by its name.
        files: How many files belong to it.
        frames: How many images, where files hold several.
        verdict: "usable", or the code of the refusal, such as "MISSING_SLICES".
        reason: The sentence of the refusal.
        shape, spacing_kji_mm: Of the volume, (slice, row, column); only when usable.
        warnings: What was noticed and accepted.
        file_bytes: Size of its files.
    """

    series_instance_uid: str
    description: str
    modality: str
    sop_class: str
    files: int
    frames: int | None
    verdict: str
    reason: str
    shape: tuple[int, int, int] | None
    spacing_kji_mm: tuple[float, float, float] | None
    warnings: list[str]
    file_bytes: int


class LeftOutFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that belongs to no series.

    Attributes:
        file: Its path relative to the folder, with "/" between names.
        reason: Why.
    """

    file: str
    reason: str


class SeriesList(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a folder.

    Attributes:
        input_dir: The folder, relative to the root.
        series: In order of first appearance.
        ignored: How many files play no part, by reason.
        refused: Files that may be slices and cannot be understood; the first hundred.
        refused_files: How many there are of them.
    """

    input_dir: str
    series: list[SeriesSummary]
    ignored: dict[str, int]
    refused: list[LeftOutFile]
    refused_files: int


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a result: its name, its size and its type on the internet."""

    name: str
    file_bytes: int
    media_type: str


class ResultFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a result, in order of their names."""

    files: list[ResultFile]
