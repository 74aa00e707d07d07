"""The viewer while its server is away, and after it is back."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.phantom import write_phantom_series
from tests.ui.lab_server import running_lab
from tests.ui.viewer_page import open_viewer, plane


def test_a_viewer_says_that_its_server_is_lost_and_shows_what_is_wanted_when_it_is_back(
    page: Page, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    write_phantom_series(root / "series", shape=(60, 40, 50))
    for home in ("home", "home-2"):
        (tmp_path / home).mkdir()
    with running_lab(root, tmp_path / "home") as first:
        first.open(page)
        viewer = open_viewer(page, before={"path": "series"})
    shown = page.locator(".dlp-Viewer")
    axial = plane(shown, "axial")
    axial.evaluate("node => node.focus()")  # the dialog of Lab about the lost server is in the way of clicks
    axial.press("Home")
    expect(shown).to_have_attribute("data-error", "The server does not answer: Failed to fetch.")
    expect(shown.get_by_role("alert")).to_have_text("The server does not answer: Failed to fetch.")
    with running_lab(root, tmp_path / "home-2", again=first):
        expect(axial).to_have_attribute("data-index", "0")
        expect(shown).to_have_attribute("data-error", "")
        expect(viewer).to_be_visible()
