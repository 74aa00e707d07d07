"""The summary of a cohort as a table for programs: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.case_table import STARTS_A_FORMULA

Value = str | float | int | None
_OF_EVERY_CASE = ("case", "state", "code", "message", "seconds", "started_at", "ended_at", "attempts", "warnings")


def summary_rows(records: Sequence[CaseRecord]) -> tuple[list[str], list[list[Value]]]:
    """Names of the columns and a row for each case: what every case has, then parameters, measurements, and links.

    Names of parameters are preceded by `param `, those of measurements by `measured `.
    """
    parameters = sorted({name for record in records for name in record.params})
    measured = sorted({name for record in records for name in record.measured})
    links = ("job", "report", "report_error")
    columns = [*_OF_EVERY_CASE]
    columns += [f"param {name}" for name in parameters]
    columns += [f"measured {name}" for name in measured]
    columns += links
    rows: list[list[Value]] = []
    for record in records:
        own: list[Value] = [record.case_id, record.state, record.error_code, record.message, record.seconds]
        own += [record.started_at, record.ended_at, record.attempts, len(record.warnings)]
        own += [_plain(record.params.get(name)) for name in parameters]
        own += [record.measured.get(name) for name in measured]
        own += [record.job, report_of(record), record.report_error or None]
        rows.append(own)
    return columns, rows


def report_of(record: CaseRecord) -> str | None:
    """Where the report of a case, or the page that says why there is none, is, from the folder of the cohort."""
    if record.went_wrong:
        return f"cases/{record.case_id}/failure.html"
    return f"cases/{record.case_id}/report.html" if record.report_fingerprint else None


def _plain(value: object) -> Value:
    return value if value is None or type(value) in (str, int, float) else json.dumps(value)  # type: ignore[return-value]


def _fits_a_column(value: Value) -> bool:
    """Whether Parquet has a number for it: what was typed into a table of cases may be any."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def summary_csv(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> bytes:
    """As CSV in UTF-8. Text that a spreadsheet program would take for a formula has an apostrophe before it."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(
            f"'{value}" if isinstance(value, str) and value.startswith(STARTS_A_FORMULA) else value for value in row
        )
    return buffer.getvalue().encode()


def summary_parquet(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> bytes | None:
    """As a Parquet file; None where pyarrow is not installed. A column of numbers and text holds text."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return None
    values = {}
    for number, name in enumerate(columns):
        column = [row[number] for row in rows]
        kinds = {type(value) for value in column if value is not None}
        if kinds == {int, float} and all(_fits_a_column(value) for value in column):
            column = [None if value is None else float(value) for value in column]
        elif len(kinds) > 1 or (kinds == {int} and not all(_fits_a_column(value) for value in column)):
            column = [None if value is None else str(value) for value in column]
        values[name] = pyarrow.array(column, None if kinds else pyarrow.string())
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(values), buffer)
    return buffer.getvalue()
