"""The page of a case that has no result, or no report: the sentence that says why, and how to go on."""

from __future__ import annotations

from html import escape

from dlp_lab.cohort.case import FAILED, CaseRecord
from dlp_lab.cohort.page import facts, page, params_text
from dlp_lab.duration import duration_text


def failure_page(record: CaseRecord, task: str) -> bytes:
    """As a whole page; it names neither folder nor file of the patient beyond what the sentence does."""
    has_result = record.state not in FAILED
    what = "has a result, but no report" if has_result else "has no result"
    sentence = record.report_error if has_result else record.message
    code = "" if has_result else record.error_code or ""
    known = facts(
        {
            "state": record.state,
            "code": code,
            "task": task,
            "parameters": params_text(record.params),
            "job": record.job or "none: it was refused before it had one",
            "attempts": str(record.attempts) if record.attempts else "",
            "took": "" if record.seconds is None else duration_text(record.seconds),
            "ended": (record.ended_at or "")[:19].replace("T", " ") + (" UTC" if record.ended_at else ""),
        }
    )
    noticed = "".join(f"<li>{escape(warning)}</li>" for warning in record.warnings)
    steps = [
        "Correct what the sentence names, and run the cohort again: a case that has changed is run again by itself.",
        "If it was no fault of the case, run the cohort again with <code>--retry-failed</code>.",
    ]
    if record.job and not has_result:
        steps.insert(0, f"See what the job printed: <code>dlp-lab log {escape(record.job)}</code>")
    body = (
        f'<p><a href="../../summary.html">All cases</a></p><h1>{escape(record.case_id)} {what}</h1>'
        f'<div class="message" role="alert">{escape(sentence) or "It ended without a reason."}</div>{known}'
        + (f"<h2>Noticed in the input</h2><ul>{noticed}</ul>" if noticed else "")
        + f"<h2>How to go on</h2><ul>{''.join(f'<li>{step}</li>' for step in steps)}</ul>"
    )
    return page(f"{record.case_id} {what}", body)
