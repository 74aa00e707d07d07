"""Jobs in the panel: found, read about, repeated elsewhere, removed; by the thousand, and in two tabs."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from dlp_lab.store.workspace import Workspace
from tests.jobs.filled_queue import fill_queue
from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab, running_lab
from tests.ui.panel_page import choose_from_menu, job_rows, open_file_browser, open_panel, open_run_dialog


def run_job(page: Page, folder: str, **fields: str) -> None:
    """Run 3dblur on a folder by the dialog, with some fields filled in."""
    open_file_browser(page)
    dialog = open_run_dialog(page, folder)
    for label, text in fields.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_role("button", name="Run").click()
    expect(dialog).to_have_count(0)


def test_an_ended_job_is_told_of_found_read_about_copied_and_removed(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "found")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.url.rstrip("/"))
    lab.open(page)
    run_job(page, "found", Truncate="3")
    job = job_rows(page, "found")
    # by its name, or with a job of an earlier test that ended in the same moment; it is told for some seconds only
    told = re.compile("3-D Gaussian blur of “found” is done|jobs have ended")
    expect(page.locator(".jp-toast-message").filter(has_text=told).first).to_be_visible()
    expect(job).to_have_attribute("data-state", "succeeded")

    panel = open_panel(page)
    panel.get_by_label("Folder or task").fill("no such folder")
    expect(panel).to_contain_text("No such job.")
    panel.get_by_label("Folder or task").fill("FOUND gauss")
    expect(job).to_be_visible()
    panel.get_by_label("State").select_option(label="Failed")
    expect(job).to_have_count(0)
    panel.get_by_label("State").select_option(label="Succeeded")
    expect(job).to_be_visible()

    choose_from_menu(page, job, "Copy as", "Shell command")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('dlp-lab run 3dblur "$DLP_LAB_ROOT"/found '), copied
    assert "--truncate=3" in copied

    choose_from_menu(page, job, "Show how it came about")
    record = page.locator(".jp-RenderedJSON")
    expect(record).to_contain_text("ingestion")

    choose_from_menu(page, job, "Show log")
    expect(page.locator(".dlp-JobLog")).to_have_text("The job printed nothing.")

    output = lab.root / "dlp-lab-output" / (job.get_attribute("data-uid") or "")
    assert output.is_dir()
    choose_from_menu(page, job, "Remove…")
    page.get_by_label("Also delete its result").check()
    page.locator(".jp-Dialog").get_by_role("button", name="Remove").click()
    expect(job).to_have_count(0)
    assert not output.exists()
    panel.get_by_label("Folder or task").fill("")
    panel.get_by_label("State").select_option(label="All jobs")


def test_the_form_starts_from_what_was_asked_last_and_from_a_job_that_is_run_again(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "again")
    lab.open(page)
    run_job(page, "again", **{"Sigma (mm)": "2.5"})
    job = job_rows(page, "again")
    expect(job).to_have_attribute("data-state", "succeeded")
    open_file_browser(page)
    dialog = open_run_dialog(page, "again")
    expect(dialog.get_by_label("Sigma (mm)")).to_have_value("2.5")
    dialog.get_by_role("button", name="Use the defaults").click()
    expect(dialog.get_by_label("Sigma (mm)")).to_have_value("1")
    page.keyboard.press("Escape")
    open_panel(page)
    choose_from_menu(page, job, "Run again, changed…")
    dialog = page.locator(".dlp-RunDialog")
    expect(dialog.get_by_label("Sigma (mm)")).to_have_value("2.5")
    dialog.get_by_label("Truncate").fill("2")
    dialog.get_by_role("button", name="Run").click()
    expect(job).to_have_count(2)
    expect(job.first).to_have_attribute("data-state", "succeeded")
    expect(job.first).to_contain_text("Truncate 2")


def test_the_status_bar_counts_what_runs_and_waits_and_leads_to_the_panel(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "counted", shape=(320, 512, 512), spacing_kji_mm=(1, 0.5, 0.5), orientation="axial")
    lab.open(page)
    for _ in range(2):
        run_job(page, "counted", **{"Sigma (mm)": "30"})
    status = page.locator(".dlp-JobsStatus")
    expect(status).to_contain_text("1 running, 1 waiting")
    open_file_browser(page)
    status.get_by_role("button").click()
    expect(page.locator("#dlp-lab-panel")).to_be_visible()
    expect(job_rows(page, "counted").first).to_contain_text("next to start")
    for job in job_rows(page, "counted").all():
        job.get_by_role("button", name="Cancel:").click()
    expect(status).to_be_hidden()


def test_two_tabs_show_the_same_jobs(page: Page, lab: Lab) -> None:
    write_phantom_series(lab.root / "two-tabs", shape=(320, 512, 512), spacing_kji_mm=(1, 1, 1), orientation="axial")
    other = page.context.new_page()
    for tab in (other, page):
        lab.open(tab)
        open_panel(tab)
    run_job(page, "two-tabs", **{"Sigma (mm)": "30"})
    expect(job_rows(other, "two-tabs")).to_have_attribute("data-state", "running")
    job_rows(other, "two-tabs").get_by_role("button", name="Cancel:").click()
    expect(job_rows(page, "two-tabs")).to_have_attribute("data-state", "cancelled")


def test_ten_thousand_jobs_are_listed_page_by_page(page: Page, tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    workspace = Workspace(root)
    fill_queue(workspace, 10_000)
    with running_lab(root, home) as crowded:
        crowded.open(page)
        panel = open_panel(page)
        rows = panel.locator(".dlp-Job")
        expect(rows).to_have_count(200)
        expect(panel).to_contain_text("9800 older jobs.")
        for pages in range(2, 6):
            panel.get_by_role("button", name="Show more").click()
            expect(rows).to_have_count(200 * pages)


def test_the_panel_says_that_the_server_is_lost_and_goes_on_when_it_is_back(page: Page, tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    write_phantom_series(root / "before")
    home.mkdir()
    with running_lab(root, home) as first:
        first.open(page)
        run_job(page, "before")
        expect(job_rows(page, "before")).to_have_attribute("data-state", "succeeded")
    panel = page.locator("#dlp-lab-panel")
    expect(panel.get_by_role("alert")).to_contain_text("does not answer")
    expect(job_rows(page, "before")).to_be_visible()
    (tmp_path / "home-2").mkdir()
    with running_lab(root, tmp_path / "home-2", again=first):
        expect(panel.get_by_role("alert")).to_have_count(0)
        expect(job_rows(page, "before")).to_be_visible()
