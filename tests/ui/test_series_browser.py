"""The series of a folder, shown with their pictures and verdicts, in a real JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pydicom
from playwright.sync_api import Locator, Page, expect
from pydicom import Dataset

from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import folder_item, job_rows

TIMES = "\N{MULTIPLICATION SIGN}"
HOSTILE = "<img src=x onerror=alert(1)>"


def write_series(folder: Path, description: str) -> None:
    """A phantom series with a SeriesDescription."""

    def describe(_: int, data_set: Dataset) -> None:
        data_set.SeriesDescription = description

    write_phantom_series(folder, edit=describe)


def browse(page: Page, folder: str) -> Locator:
    """Right-click a folder and look at its series."""
    folder_item(page, folder).click(button="right")
    page.get_by_role("menuitem", name="Browse DICOM series").click()
    series = page.locator(".dlp-SeriesBrowser .dlp-Series")
    series.first.wait_for()
    return series


def test_every_series_is_shown_with_its_picture_or_the_reason_why_not(page: Page, lab: Lab) -> None:
    folder = lab.root / "mixed"
    write_series(folder / "good", "T1 axial")
    write_series(folder / "gap", HOSTILE)
    middle = sorted(folder.glob("gap/*"), key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2])[3]
    middle.unlink()
    (folder / "note.txt").write_text("no image")
    lab.open(page)
    series = browse(page, "mixed")
    expect(series).to_have_count(2)
    good = series.filter(has_text="T1 axial")
    expect(good).to_have_attribute("data-verdict", "usable")
    expect(good).to_contain_text(f"7 slices · 6 {TIMES} 5 · ")
    expect(good.locator("img")).to_be_visible()
    assert page.evaluate("document.querySelector('.dlp-Series img').naturalWidth") > 0
    gap = series.filter(has_text=HOSTILE)
    expect(gap).to_have_attribute("data-verdict", "MISSING_SLICES")
    expect(gap).to_contain_text("slices are missing")
    expect(gap.get_by_role("button")).to_have_count(0)
    expect(gap.locator("img")).to_have_count(0)
    page.get_by_text("Files that are no images").click()
    expect(page.locator(".dlp-SeriesBrowser")).to_contain_text(f"1 {TIMES}")


def test_a_task_is_run_on_one_series_of_several(page: Page, lab: Lab) -> None:
    folder = lab.root / "several"
    write_series(folder / "first", "first")
    write_series(folder / "second", "second")
    lab.open(page)
    second = browse(page, "several").filter(has_text="second")
    second.get_by_role("button", name="Run a task").click()
    page.locator(".lm-Menu-itemLabel", has_text="3-D Gaussian blur").click()
    dialog = page.locator(".dlp-RunDialog")
    expect(dialog).to_contain_text(second.get_attribute("data-uid") or "")
    dialog.get_by_role("button", name="Run").click()
    job = job_rows(page, "several")
    expect(job).to_have_attribute("data-state", "succeeded")


def test_a_folder_without_dicom_says_so_and_can_be_looked_at_again(page: Page, lab: Lab) -> None:
    folder = lab.root / "nothing-yet"
    folder.mkdir()
    lab.open(page)
    folder_item(page, "nothing-yet").click(button="right")
    page.get_by_role("menuitem", name="Browse DICOM series").click()
    browser = page.locator(".dlp-SeriesBrowser")
    expect(browser).to_contain_text("no DICOM series")
    write_phantom_series(folder / "late")
    browser.get_by_role("button", name="Look again").click()
    expect(browser.locator(".dlp-Series")).to_have_count(1)
