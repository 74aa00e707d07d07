"""The cases of a cohort as a table (CSV), which a user writes or a search through folders makes."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dlp_lab.cohort.case import Case
from dlp_lab.errors import CaseTableRefused, PathRefused
from dlp_lab.store.cohort_folder import checked_case_id
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.task import Task
from dlp_lab.typed_value import typed_value

CASE, FOLDER, SERIES = "case", "folder", "series"
_MOST_BYTES = 64 * 2**20
_MOST_QUOTED = 100
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Text that a spreadsheet program would take for a formula begins with one of these."""


def read_case_table(path: Path, workspace: Workspace, task: type[Task]) -> list[Case]:
    """Cases from a CSV file, in its order.

    Its first line names the columns: `case`, `folder` (absolute, or relative to the root), if need be `series`, and
    any parameters of the task. An empty field of a parameter stands for the cohort's value. Commas or, as some
    spreadsheet programs write them, semicolons are between the fields; the encoding is UTF-8.

    Raises:
        CaseTableRefused: It cannot be read so; the message names the line.
    """
    columns, lines = read_table(path)
    known = (CASE, FOLDER, SERIES, *task.json_schema()["properties"])
    for column in columns:
        if column not in known:
            raise CaseTableRefused(
                f"{path.name}: there is a column {column[:_MOST_QUOTED]!r}; there may be: {', '.join(known)}"
            )
    cases = [_case(fields, where, workspace, task) for where, fields in lines]
    _refuse_same_names(cases, path.name)
    return cases


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """The columns of a table of cases, whatever they are beside `case` and `folder`, and its lines.

    Returns:
        Names of the columns; and of each line where it is, for errors, and its fields by column.

    Raises:
        CaseTableRefused: It is no such table; of a line, when it comes to it.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise CaseTableRefused(f"{path.name} has more than {_MOST_BYTES // 2**20} MiB; split the table")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CaseTableRefused(f"{path.name} is no text in UTF-8; save it as CSV in UTF-8") from None
    if "\0" in text:
        raise CaseTableRefused(f"{path.name} holds NUL characters, so it is no CSV in UTF-8; save it as that")
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first and "," not in first else ",", strict=True)
    try:
        columns = [column.strip() for column in rows.fieldnames or ()]
    except csv.Error as error:
        raise CaseTableRefused(f"{path.name}, line 1: {error}") from None
    for column in (CASE, FOLDER):
        if column not in columns:
            named = f"names {str(columns)[:_MOST_QUOTED]}" if columns else "is empty"
            raise CaseTableRefused(
                f"{path.name} has no column {column!r}: its first line, which is to name the columns, {named}"
            )
    for column, count in Counter(columns).items():
        if count > 1:
            raise CaseTableRefused(f"{path.name} has {count} columns {column[:_MOST_QUOTED]!r}; leave one")
    rows.fieldnames = columns
    return columns, _lines(rows, path.name)


def _lines(rows: csv.DictReader[str], name: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            if None in row or None in row.values():
                raise CaseTableRefused(f"{where}: it has more or fewer fields than the first line has columns")
            yield where, {column: text.strip() for column, text in row.items()}
    except csv.Error as error:
        raise CaseTableRefused(f"{name}, line {rows.line_num}: {error}") from None


def _case(fields: dict[str, str], where: str, workspace: Workspace, task: type[Task]) -> Case:
    try:
        case_id = checked_case_id(fields.pop(CASE))
        folder = fields.pop(FOLDER)
        if not folder:
            raise CaseTableRefused("the folder is empty")
        input_dir = workspace.relative(workspace.root / folder)
    except (CaseTableRefused, PathRefused) as error:
        raise CaseTableRefused(f"{where}: {error}") from None
    series = series_of(fields.pop(SERIES, ""))
    return Case(
        case_id=case_id,
        input_dir=input_dir,
        series=series,
        params={name: parameter_value(text, task, name) for name, text in fields.items() if text},
    )


def _refuse_same_names(cases: Iterable[Case], where: str) -> None:
    """Raises `CaseTableRefused` for two cases of one name; case does not tell names apart, nor do all disks."""
    for name, count in Counter(case.case_id.casefold() for case in cases).items():
        if count > 1:
            raise CaseTableRefused(f"{where}: {count} cases are named {name!r}; give each a name of its own")


def parameter_value(text: str, task: type[Task], name: str) -> Any:
    """A parameter as it is written on a command line or in a table: JSON, `1,2,3` as a list, and else text.

    Where the task wants a text, it is one whatever it looks like.
    """
    if task.json_schema()["properties"].get(name, {}).get("type") == "string":
        return text
    return typed_value(text)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _no_formula(folder: str) -> str:
    """The same folder by a name that a spreadsheet program, in which the table is edited, takes for text."""
    return f"./{folder}" if folder.startswith(STARTS_A_FORMULA) else folder


def _written_series(series: str) -> str:
    """A SeriesInstanceUID as text, whatever a header gives for one."""
    return f"'{series}" if series.startswith(STARTS_A_FORMULA) else series


def series_of(text: str) -> str | None:
    """The SeriesInstanceUID of a field of the table; None where it is empty."""
    return (text[1:] if text[:1] == "'" and text[1:].startswith(STARTS_A_FORMULA) else text) or None


def case_table(cases: Iterable[Case]) -> bytes:
    """The table of cases that `read_case_table` reads."""
    cases = list(cases)
    parameters = sorted({name for case in cases for name in case.params})
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow((CASE, FOLDER, SERIES, *parameters))
    for case in cases:
        values = (_written(case.params[name]) if name in case.params else "" for name in parameters)
        table.writerow((case.case_id, _no_formula(case.input_dir), _written_series(case.series or ""), *values))
    return buffer.getvalue().encode()
