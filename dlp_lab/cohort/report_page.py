"""An executed notebook as a page: what it shows, not how, and nothing that is loaded from elsewhere."""

from __future__ import annotations

import threading
from html import escape
from typing import TYPE_CHECKING, Any

from dlp_lab.cohort.page import page

if TYPE_CHECKING:
    from nbconvert import HTMLExporter

_of_thread = threading.local()


def report_page(case_id: str, notebook: Any) -> bytes:
    """Texts and outputs of a notebook as a whole page.

    Code is left out; with it go the parameters, which name the folder of the case. Scripts in outputs do not run.

    Args:
        case_id: Name of the case.
        notebook: An executed notebook (`nbformat`).
    """
    body, _ = _exporter().from_notebook_node(notebook)
    back = f'<p><a href="../../summary.html">All cases</a> <span class="soft">{escape(case_id)}</span></p>'
    return page(f"Report of {case_id}", f'{back}<main class="report">{body}</main>', has_own_styles=True)


def _exporter() -> HTMLExporter:
    """One for each thread, for it takes longer to make than a page does, and is not made for several."""
    if not hasattr(_of_thread, "exporter"):
        from nbconvert import HTMLExporter

        _of_thread.exporter = HTMLExporter(  # type: ignore[no-untyped-call]
            template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
        )
    exporter: HTMLExporter = _of_thread.exporter
    return exporter
