"""The summary of a cohort as a page: one table that can be sorted and searched, with a picture of each result."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.page import page, params_text
from dlp_lab.cohort.summary_table import report_of
from dlp_lab.duration import duration_text

_SECONDS_BETWEEN_LOOKS = 5
_NO_REPORT = "no report"
_STATES = ("succeeded", "failed", "cancelled", _NO_REPORT, "running", "queued", "waiting")
_COLOR = {_NO_REPORT: "failed"}
_LARGEST = 1e300
"""Numbers beyond are shown as they were typed; those of Python are not limited to what a float holds."""

_SCRIPT = """
const table = document.querySelector("table"), body = table.tBodies[0], search = document.querySelector("input");
const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
table.tHead.addEventListener("click", event => {
  const head = event.target.closest("th");
  if (!event.target.closest("button")) return;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const numeric = head.classList.contains("number");
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [value(one, head.cellIndex), value(other, head.cellIndex)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
    return down ? -order : order;
  });
  body.append(...rows);
});
const counts = [...document.querySelectorAll(".count")];
const choose = () => {
  const words = search.value.toLowerCase().split(/\\s+/);
  const state = counts.find(count => count.ariaPressed === "true")?.dataset.state;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word)) || (state !== undefined && row.dataset.state !== state);
  }
};
search.addEventListener("input", choose);
for (const count of counts) {
  count.addEventListener("click", () => {
    for (const other of counts) other.ariaPressed = String(other === count && count.ariaPressed !== "true");
    choose();
  });
}
"""


def summary_page(
    name: str,
    task: str,
    records: Sequence[CaseRecord],
    thumbnails: Mapping[str, bytes],
    result_folder: str,
    *,
    is_running: bool,
) -> bytes:
    """The whole page.

    Args:
        name: Of the cohort.
        task: That was run.
        records: Of all cases.
        thumbnails: Picture of the result as a PNG file, of the cases that have one.
        result_folder: Relative path from the cohort's folder to the one with the results of jobs.
        is_running: Whether more is to come, so that the browser looks again.
    """
    parameters = _parameters_that_differ(records)
    measured = sorted({name for record in records for name in record.measured})
    heads = [_head("result", sortable=False), _head("case"), _head("state"), _head("what happened")]
    heads += [_head(parameter, numeric=_all_numbers(records, parameter)) for parameter in parameters]
    heads += [_head(quantity, numeric=True) for quantity in measured]
    heads += [_head("time", numeric=True), _head("warnings", numeric=True), _head("files", sortable=False)]
    rows = "".join(_row(record, parameters, measured, thumbnails, result_folder) for record in records)
    in_state = Counter(_state(record) for record in records)
    counts = "".join(
        f'<button class="count" aria-pressed="false" data-state="{state}">'
        f'<b class="{_COLOR.get(state, state)}">{in_state[state]}</b>{state}</button>'
        for state in _STATES
        if in_state[state]
    )
    same = params_text(_common_parameters(records, parameters))
    body = (
        f'<h1>{escape(name)}</h1><p class="soft">{len(records)} cases, task {escape(task)}'
        f"{escape(same and ', ' + same)}{_total(records)}</p>"
        f'<div class="counts">{counts}</div>'
        + ('<p class="soft" role="status">It is at work; this page looks again by itself.</p>' if is_running else "")
        + '<p><input type="search" placeholder="Search: case, state, code" aria-label="Search the cases"></p>'
        f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table>"
    )
    again = _SECONDS_BETWEEN_LOOKS if is_running else None
    return page(f"Cohort {name}", body, script=_SCRIPT, again_seconds=again)


def _parameters_that_differ(records: Sequence[CaseRecord]) -> list[str]:
    names = sorted({name for record in records for name in record.params})
    return [name for name in names if len({json.dumps(record.params.get(name)) for record in records}) > 1]


def _common_parameters(records: Sequence[CaseRecord], different: Sequence[str]) -> dict[str, object]:
    params = records[0].params if records else {}
    return {name: value for name, value in params.items() if name not in different}


def _all_numbers(records: Sequence[CaseRecord], parameter: str) -> bool:
    return all(type(record.params.get(parameter, 0)) in (int, float) for record in records)


def _total(records: Sequence[CaseRecord]) -> str:
    seconds = sum(record.seconds or 0 for record in records)
    return f", {duration_text(seconds)} of jobs" if seconds else ""


def _head(text: str, *, numeric: bool = False, sortable: bool = True) -> str:
    label = f"<button>{escape(text)}</button>" if sortable else escape(text)
    return f'<th scope="col"{" class=number" if numeric else ""}>{label}</th>'


def _row(
    record: CaseRecord,
    parameters: Sequence[str],
    measured: Sequence[str],
    thumbnails: Mapping[str, bytes],
    result_folder: str,
) -> str:
    what = record.report_error or ("" if record.state == "succeeded" else record.message)
    state = _state(record)
    code = f"<code>{escape(record.error_code)}</code> " if record.error_code else ""
    cells = [
        f"<td>{_picture(thumbnails.get(record.case_id))}</td>",
        f'<td class="case">{escape(record.case_id)}</td>',
        f'<td class="state {_COLOR.get(state, state)}">{state}</td>',
        f'<td class="what">{code}{escape(what)}</td>',
        *(_value(record.params.get(parameter)) for parameter in parameters),
        *(_value(record.measured.get(quantity)) for quantity in measured),
        _value(record.seconds, "" if record.seconds is None else duration_text(record.seconds)),
        _value(len(record.warnings) or None),
        f'<td class="links">{_links(record, result_folder)}</td>',
    ]
    return f'<tr data-state="{state}">{"".join(cells)}</tr>'


def _state(record: CaseRecord) -> str:
    return _NO_REPORT if record.report_error else str(record.state)


def _picture(png: bytes | None) -> str:
    if png is None:
        return '<div class="nothing"></div>'
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _value(value: object, shown: str | None = None) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = shown or (f"{value:g}" if abs(value) < _LARGEST else str(value))
        return f'<td class="number" data-value="{value!r}">{escape(text)}</td>'
    return f"<td>{'' if value is None else escape(value if isinstance(value, str) else json.dumps(value))}</td>"


def _links(record: CaseRecord, result_folder: str) -> str:
    links = []
    if (report := report_of(record)) is not None:
        links.append(f'<a href="{escape(report)}">{"why" if record.went_wrong else "report"}</a>')
    if record.state == "succeeded" and record.job:
        links.append(f'<a href="{escape(result_folder)}/{escape(record.job)}/">result</a>')
    return " ".join(links)
