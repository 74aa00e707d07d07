"""What a scanner, a folder or a task says is text in every view, whatever HTML it looks like."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import job_rows, open_run_dialog

IMAGE = "<img src=x onerror=alert(1)>"
OURS = "#dlp-lab-panel, .dlp-RunDialog, .Toastify"


def hostile_header(_: int, ds: Dataset) -> None:
    ds.PatientName = ds.PatientID = ds.SeriesDescription = ds.StudyDescription = IMAGE
    ds.Manufacturer = ds.RescaleType = "<svg onload=alert(1)>"


def with_broken_pixels(path: Path) -> None:
    """The file's image says that it has more segments than RLE knows."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"\xfe\xff\x00\xe0") + 8
    content[at] = 99
    path.write_bytes(content)


def no_element_of_it(page: Page) -> None:
    assert page.locator("img[onerror], svg[onload], img[src$='/x'], img[src='x']").count() == 0
    for view in OURS.split(", "):
        assert page.locator(f"{view} img").count() == 0


def test_header_folder_and_file_names_are_text_in_dialog_panel_and_refusal(page: Page, lab: Lab) -> None:
    folder = lab.root / f"{IMAGE} a"
    series = write_phantom_series(folder, transfer_syntax=RLELossless, edit=hostile_header)
    named = series.files[0].rename(folder / IMAGE)
    lab.open(page)
    dialog = open_run_dialog(page, folder.name)
    no_element_of_it(page)
    dialog.get_by_role("button", name="Run").click()
    job = job_rows(page, folder.name)
    expect(job).to_have_attribute("data-state", "succeeded")
    expect(job.get_by_text(folder.name)).to_be_visible()
    no_element_of_it(page)

    with_broken_pixels(named)
    page.locator(".jp-SideBar [data-id='filebrowser']").click()
    open_run_dialog(page, folder.name).get_by_role("button", name="Run").click()
    failed = job_rows(page, folder.name).first
    expect(failed).to_have_attribute("data-state", "failed")
    expect(failed.locator(".dlp-Job-failure")).to_contain_text(IMAGE)
    no_element_of_it(page)

    named.write_bytes(named.read_bytes()[:300])
    page.locator(".jp-SideBar [data-id='filebrowser']").click()
    dialog = open_run_dialog(page, folder.name)
    dialog.get_by_role("button", name="Run").click()
    expect(dialog.get_by_role("alert")).to_contain_text(IMAGE)
    no_element_of_it(page)
    page.keyboard.press("Escape")


def test_a_notification_shows_what_it_names_as_text(page: Page, lab: Lab) -> None:
    text = f"{IMAGE} ![x](x) <b>bold</b> [link](javascript:alert(1))"
    lab.open(page)
    page.evaluate("task => window.jupyterapp.commands.execute('dlp-lab:run-task', { task, path: '' })", text)
    page.locator(".jp-Notification-Status").click()
    shown = page.locator(".jp-Notification-List")
    expect(shown).to_contain_text(f"The server has no task named “{text}”.")
    assert shown.locator("b, strong, a, img").count() == 0
    no_element_of_it(page)
