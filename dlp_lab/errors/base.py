"""What all refusals have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar


def printable(text: str) -> str:
    """`text` fit for a terminal, a log or JSON: a file's name may hold line breaks, or bytes that are no text."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines: its line feeds and tabs stay."""
    return "".join(c if c in "\n\t" else printable(c) for c in text) if not text.isprintable() else text


@dataclass(frozen=True, kw_only=True)
class ErrorDetail:
    """What of a refusal a program can use.

    Attributes:
        parameter: Name of the field or parameter that is wrong, with a dot between names.
        minimum, maximum: Between which its values must lie, these two included.
        above, below: Between which they must lie, without these two.
        file: Name of the file that is wrong, or the first of several.
        slice: Its index in the stack, along the normal, where there is one.
        tag: Of the DICOM attribute, such as "(0020,0032)".
    """

    parameter: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    file: str | None = None
    slice: int | None = None
    tag: str | None = None


_FIELD = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]+)`")
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]+)`$")


def detail_of_validation(message: str) -> ErrorDetail | None:
    """Which field msgspec speaks of, such as `read.gaps`; None where it is the whole."""
    path, field = _PATH.search(message), _FIELD.search(message)
    names = [path and path["path"], field and field["name"]]
    name = ".".join(filter(None, names))
    return ErrorDetail(parameter=name) if name else None


class DlpError(Exception):
    """Base of all errors that are an answer to the user, not a defect of the program."""

    code: ClassVar[str] = "ERROR"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, detail: ErrorDetail | None = None) -> None:
        super().__init__(printable(message))
        self.detail = detail
