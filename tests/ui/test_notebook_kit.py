"""The widgets of notebooks in a real Lab: exploring a folder, and a form with live preview."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.notebook_page import open_notebook, saved_text
from tests.ui.viewer_page import shown_viewer


def number_box(page: Page, row: str) -> Locator:
    """The box beside the slider of a parameter."""
    return page.locator(".dlp-TaskForm-row", has_text=row).locator("input[type=number]:visible").first


def test_a_folder_is_explored_from_the_choice_of_a_series_to_its_result(page: Page, lab: Lab) -> None:
    folder = lab.root / "to explore"
    write_phantom_series(folder / "one", shape=(9, 40, 50))
    gap = write_phantom_series(folder / "<b>gap", seed=1, shape=(9, 40, 50))
    gap.files[4].unlink()
    path = open_notebook(page, lab, "explore", 'import dlp_lab as dlp\ndlp.explore("to explore")')
    shown_viewer(page)
    expect(page.locator(".dlp-SeriesPicker-item")).to_have_count(2)
    expect(page.locator(".dlp-SeriesPicker-item[data-verdict=MISSING_SLICES] input")).to_be_disabled()
    expect(page.locator(".dlp-SeriesPicker-picture img")).to_have_count(1)
    caption = page.locator(".dlp-SlicePreview-caption")
    expect(caption).to_contain_text("slice 5 of 9")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".dlp-TaskForm-status", has_text="done in")).to_be_visible()
    expect(page.locator(".dlp-JobMonitor tr[data-state=succeeded]", has_text="to explore")).to_be_visible()
    expect(page.locator(".dlp-Compare")).to_contain_text("changed on average by")
    viewer = shown_viewer(page)
    expect(viewer.get_by_label("Compare", exact=True)).to_be_visible()
    box = viewer.bounding_box()
    assert box is not None
    assert box["height"] == 580

    assert len(saved_text(page, path)) < 5000


def test_the_preview_follows_what_is_entered_and_says_what_is_wrong_below_the_control(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "for-form", shape=(9, 40, 50))
    source = 'import dlp_lab as dlp\ndlp.TaskForm("3dblur", dlp.read_series("for-form"), folder="for-form")'
    open_notebook(page, lab, "form", source)
    caption = page.locator(".dlp-SlicePreview-caption")
    expect(caption).to_contain_text("slice 5 of 9")
    pictures = page.locator(".dlp-SlicePreview img")
    expect(pictures).to_have_count(2)
    sigma = number_box(page, "Sigma")
    sigma.fill("0")
    expect(caption).to_contain_text("changed by 0 HU on average")
    sigma.fill("6.5")
    sigma.press("Enter")
    expect(caption).not_to_contain_text("changed by 0 HU on average")
    expect(sigma).to_have_value("6.5")
    sigma.fill("5000")
    error = page.locator(".dlp-TaskForm-error", has_text="at most 1000")
    expect(error).to_be_visible()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    sigma.fill("2")
    expect(error).not_to_be_visible()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()

    page.get_by_label("each axis by itself").check()
    row = page.locator(".dlp-TaskForm-row", has_text="Sigma")
    expect(row.locator("input[type=number]:visible")).to_have_count(3)
    for text in ("slice", "row", "column"):
        expect(row.get_by_text(text, exact=True)).to_be_visible()

    handle = row.locator(".noUi-handle:visible").first
    handle.press("ArrowRight")
    expect(number_box(page, "Sigma")).to_have_value("2.1")
