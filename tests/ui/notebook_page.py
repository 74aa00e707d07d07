"""Notebooks in Lab, for the browser tests and the screenshots."""

from __future__ import annotations

from pathlib import Path

import nbformat
from playwright.sync_api import Page

from tests.ui.lab_server import Lab
from tests.ui.viewer_page import run_all_cells


def saved_text(page: Page, path: Path) -> str:
    """The notebook that is open, as it is saved."""
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
    return path.read_text(encoding="utf-8")


def open_notebook(page: Page, lab: Lab, name: str, source: str) -> Path:
    """Write a notebook of one cell, open it in Lab and run it."""
    path = lab.root / f"{name}.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    lab.open(page)
    page.evaluate("path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)", path.name)
    run_all_cells(page)
    return path
