"""What a user does with the file browser and the panel, for the browser tests and the screenshots."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def folder_item(page: Page, name: str) -> Locator:
    """The folder in the file browser; waits until the listing shows it."""
    item = page.locator(".jp-DirListing-item").filter(has=page.get_by_text(name, exact=True))
    item.wait_for()
    return item


def open_run_dialog(page: Page, folder: str, task: str = "3dblur") -> Locator:
    """Right-click a folder and choose the task."""
    folder_item(page, folder).click(button="right")
    page.get_by_role("menuitem", name=f"Run {task} on this folder").click()
    dialog = page.locator(".dlp-RunDialog")
    dialog.wait_for()
    # Lab gives the focus to the first field a moment after the fields are there; what is typed must not go astray
    dialog.locator("input:focus, select:focus").wait_for()
    return dialog


def open_panel(page: Page) -> Locator:
    """Show the panel by its tab in the side bar."""
    panel = page.locator("#dlp-lab-panel")
    if not panel.is_visible():
        page.locator(".jp-SideBar [data-id='dlp-lab-panel']").click()
    panel.wait_for()
    return panel


def open_file_browser(page: Page) -> None:
    """Show the file browser by its tab in the side bar."""
    browser = page.locator("#filebrowser")
    if not browser.is_visible():
        page.locator(".jp-SideBar [data-id='filebrowser']").click()
    browser.wait_for()


def job_rows(page: Page, folder: str) -> Locator:
    """The jobs of one input folder, newest first."""
    return page.locator("#dlp-lab-panel .dlp-Job").filter(has=page.get_by_text(folder, exact=True))


def choose_from_menu(page: Page, job: Locator, *entries: str) -> None:
    """Open a job's menu, and click from entry to entry of its submenus."""
    job.get_by_role("button", name="More actions").click()
    for entry in entries:
        # an entry that opens a submenu has no role
        page.locator(".lm-Menu-itemLabel", has_text=entry).click()
