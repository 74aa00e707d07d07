"""Pictures of the notebook's widgets: a folder explored, and the form of a task with its live preview."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.ui.lab_server import Lab
from tests.ui.notebook_page import open_notebook
from tests.ui.viewer_page import shown_viewer

_TIMEOUT_MS = 120_000


def take_notebooks(page: Page, lab: Lab, folder: Path, study: str, series: str) -> None:
    """All pictures of the widgets.

    Args:
        page: Of the browser.
        lab: A running Lab; notebooks of the pictures are made in its root, and removed.
        folder: Where pictures go.
        study: A folder with several series in the root, not all of them usable.
        series: A folder with one series.
    """
    form = [
        "import dlp_lab as dlp\n",
        f'volume = dlp.read_series("{series}")',
        f'dlp.TaskForm("3dblur", volume, folder="{series}")',
    ]
    made = [open_notebook(page, lab, "form", "\n".join(form))]
    _hide_side_bar(page)
    page.locator(".dlp-SlicePreview img").first.wait_for(timeout=_TIMEOUT_MS)
    sigma = page.locator(".dlp-TaskForm-row", has_text="Sigma").locator("input[type=number]:visible").first
    sigma.fill("3")
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "form.png")

    made.append(open_notebook(page, lab, "volume", f'import dlp_lab as dlp\n\ndlp.read_series("{series}")'))
    _hide_side_bar(page)
    page.locator(".jp-OutputArea img").first.wait_for(timeout=_TIMEOUT_MS)
    page.screenshot(path=folder / "volume.png")

    page.set_viewport_size({"width": 1560, "height": 1230})
    made.append(open_notebook(page, lab, "explore", f'import dlp_lab as dlp\n\ndlp.explore("{study}")'))
    _hide_side_bar(page)
    shown_viewer(page)
    page.locator(".dlp-SeriesPicker-item", has_text="MR").and_(page.locator("[data-verdict=usable]")).first.locator(
        "input"
    ).check()
    page.locator(".dlp-SlicePreview img").first.wait_for(timeout=_TIMEOUT_MS)
    page.wait_for_timeout(3000)
    page.screenshot(path=folder / "explore.png")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".dlp-Compare").wait_for(timeout=_TIMEOUT_MS)
    page.wait_for_timeout(3000)
    page.screenshot(path=folder / "explore-compared.png")
    for path in made:
        path.unlink()


def _hide_side_bar(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area').then(() => null)")
