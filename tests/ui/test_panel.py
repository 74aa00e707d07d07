"""The panel in a real JupyterLab and a real browser, on real jobs."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import folder_item, job_rows, open_file_browser, open_panel, open_run_dialog

SLICES = 320
"""Of a series that takes long enough to be seen at work and to be cancelled."""


def write_large_series(folder: Path) -> None:
    write_phantom_series(folder, shape=(SLICES, 512, 512), spacing_kji_mm=(1.0, 0.5, 0.5), orientation="axial")


def test_the_extension_starts_and_registers(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.locator(".jp-LauncherCard", has_text="DLP Lab Jobs").click()
    panel = page.get_by_role("region", name="DLP Lab jobs")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("heading", name="DLP Lab")).to_be_visible()


def test_a_job_goes_from_the_folder_to_the_result(page: Page, lab: Lab) -> None:
    write_large_series(lab.root / "to-result")
    lab.open(page)
    dialog = open_run_dialog(page, "to-result")
    expect(dialog.get_by_label("Truncate")).to_have_value("4")
    dialog.get_by_label("Sigma (mm)").fill("3, 2, 2")
    dialog.get_by_label("Sigma (mm)").press("Enter")

    job = job_rows(page, "to-result")
    expect(job).to_have_attribute("data-state", "running")
    expect(job.get_by_role("progressbar")).to_be_visible()
    expect(job).to_have_attribute("data-state", "succeeded")
    expect(job).to_contain_text("3-D Gaussian blur")
    expect(job).to_contain_text("Sigma (mm) [3,2,2]")

    job.get_by_role("button", name="Show result").click()
    expect(page.locator("#filebrowser")).to_be_visible()
    uid = job.get_attribute("data-uid") or ""
    expect(page.locator(".jp-BreadCrumbs")).to_contain_text(uid)
    written = list((lab.root / "dlp-lab-output" / uid).rglob("*.dcm"))
    assert len(written) == SLICES
    assert pydicom.dcmread(written[0], stop_before_pixels=True).ImageType[0] == "DERIVED"


def test_what_the_server_refuses_is_said_in_the_dialog_and_can_be_corrected(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "corrected")
    lab.open(page)
    dialog = open_run_dialog(page, "corrected")
    dialog.get_by_label("Truncate").fill("-1")
    dialog.get_by_role("button", name="Run").click()
    expect(dialog.get_by_role("alert")).to_contain_text("truncate")
    dialog.get_by_label("Truncate").fill("2")
    dialog.get_by_role("button", name="Run").click()
    expect(dialog).to_have_count(0)
    expect(job_rows(page, "corrected")).to_have_attribute("data-state", "succeeded")


def test_a_folder_without_dicom_gets_the_servers_sentence_and_escape_gives_up(page: Page, lab: Lab) -> None:
    (lab.root / "notes").mkdir()
    (lab.root / "notes/note.txt").write_text("no image")
    lab.open(page)
    dialog = open_run_dialog(page, "notes")
    dialog.get_by_role("button", name="Run").click()
    expect(dialog.get_by_role("alert")).to_contain_text("DICOM")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_only_folders_have_the_entry(page: Page, lab: Lab) -> None:
    (lab.root / "table.csv").write_text("a,b\n")
    lab.open(page)
    folder_item(page, "table.csv").click(button="right")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_visible()
    expect(page.get_by_role("menuitem", name="on this folder")).to_have_count(0)


def test_running_and_waiting_jobs_can_be_cancelled_and_tried_again(page: Page, lab: Lab) -> None:
    write_large_series(lab.root / "cancelled")
    lab.open(page)
    for _ in range(2):
        dialog = open_run_dialog(page, "cancelled")
        dialog.get_by_label("Sigma (mm)").fill("30")
        dialog.get_by_role("button", name="Run").click()
        expect(dialog).to_have_count(0)
        open_file_browser(page)
    open_panel(page)
    waiting, running = job_rows(page, "cancelled").nth(0), job_rows(page, "cancelled").nth(1)
    expect(running).to_have_attribute("data-state", "running")
    for job in (waiting, running):
        job.get_by_role("button", name="Cancel:").click()
        expect(job).to_have_attribute("data-state", "cancelled")
        expect(job.locator("button.dlp-Job-action")).to_have_text(["Try again"])
    running.get_by_role("button", name="Try again:").click()
    expect(running).to_have_attribute("data-state", "running")
    running.get_by_role("button", name="Cancel:").click()
    expect(running).to_have_attribute("data-state", "cancelled")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "Müller & Söhne; $(touch x)"])
def test_a_folder_name_is_shown_as_text(page: Page, lab: Lab, name: str) -> None:
    write_phantom_series(lab.root / name)
    lab.open(page)
    dialog = open_run_dialog(page, name)
    expect(dialog.get_by_text(name, exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Run").click()
    job = job_rows(page, name)
    expect(job).to_have_attribute("data-state", "succeeded")
    expect(page.locator("#dlp-lab-panel img, .dlp-RunDialog img")).to_have_count(0)
