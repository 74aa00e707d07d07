"""The picture that a notebook keeps when it is asked to: seen where no kernel runs, and in what is exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page, expect

from tests.patience import PATIENCE_S, wait_until
from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.notebook_page import saved_text
from tests.ui.viewer_page import run_all_cells, shown_viewer

CODE = """
import dlp_lab as dlp
volume = dlp.read_series("still-series")
dlp.SliceViewer(volume, volume.with_voxels(volume.voxels + 7), still={still})
"""
IS_DRAWN = "image => image.complete && image.naturalWidth > 500"


def saved_notebook(lab: Lab, page: Page, still: bool) -> Path:
    """A notebook that was run and saved, as a colleague gets it: this Lab did not sign it."""
    write_phantom_series(lab.root / "still-series", shape=(9, 40, 50))
    path = lab.root / f"still-{still}.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE.format(still=still))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    lab.open(page)
    open_notebook(page, path)
    run_all_cells(page)
    shown_viewer(page)
    if still:
        wait_until(lambda: "image/png" in saved_text(page, path))
    else:
        saved_text(page, path)
    page.evaluate("() => window.jupyterapp.commands.execute('kernelmenu:shutdown').then(() => null)")
    saved = nbformat.read(path, as_version=4)
    saved.cells[0].source += "# from a colleague\n"
    received = path.with_name(f"received-{still}.ipynb")
    nbformat.write(saved, received)
    return received


def open_notebook(page: Page, path: Path) -> None:
    page.evaluate("path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)", path.name)


def exported(path: Path) -> str:
    """The notebook as `jupyter nbconvert` makes a page of it."""
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", path.name]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True, timeout=PATIENCE_S)
    return path.with_suffix(".html").read_text(encoding="utf-8")


def test_a_still_picture_is_seen_without_a_kernel_and_in_an_export_without_a_network(
    page: Page, lab: Lab, browser: Browser
) -> None:
    received = saved_notebook(lab, page, still=True)
    lab.open(page)
    open_notebook(page, received)
    image = page.locator(".jp-OutputArea img[alt='middle planes']")
    expect(image).to_be_visible()
    page.evaluate("() => window.jupyterapp.commands.execute('kernelmenu:shutdown').then(() => null)")
    expect(image).to_be_visible()
    assert image.evaluate(IS_DRAWN)

    page_alone = browser.new_context(offline=True).new_page()
    page_alone.set_content(exported(received), wait_until="domcontentloaded")
    image = page_alone.locator("img[alt='middle planes']")
    expect(image).to_be_visible()
    page_alone.wait_for_function(IS_DRAWN, arg=image.element_handle())
    page_alone.context.close()


def test_without_one_no_pixel_is_saved_or_exported(page: Page, lab: Lab) -> None:
    received = saved_notebook(lab, page, still=False)
    saved = received.read_text(encoding="utf-8")
    assert len(saved) < 5000
    assert "image/png" not in saved and "<img" not in saved
    assert "<img" not in exported(received)  # the style sheet of the export has pictures of its own
