"""Pictures of a cohort: its summary, the report of a case, the page of a failure, and its group in the panel."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page

import dlp_lab as dlp
from dlp_lab.cohort.door import Cohort
from dlp_lab.jobs.handle import job_service
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series, write_undecodable_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import open_panel

REPORT = Path(__file__).parents[1] / "notebooks/batch/case-report.ipynb"
_WIDE = {"width": 1280, "height": 900}


def run_small_cohort(root: Path, slices: Path) -> Cohort:
    """Five cases of real slices with widths of their own, and three that are broken in different ways.

    Args:
        root: Of the workspace; the queue is not at work meanwhile.
        slices: Folder with a series.
    """
    lines = ["case,folder,sigma_mm"]
    for number, sigma_mm in enumerate((1, 2, 3, 4, 6), start=1):
        folder = root / "study" / f"{number}"
        shutil.copytree(slices, folder)
        lines.append(f"head-{number:02},study/{number},{sigma_mm}")
    write_phantom_series(root / "study/gap", modality="MR", shape=(12, 48, 64)).files[5].unlink()
    write_undecodable_series(root / "study/damaged")
    (root / "study/empty").mkdir()
    lines[3:3] = ["head-06,study/gap,2", "head-07,study/damaged,2"]
    lines.append("head-08,study/empty,2")
    table = root / "heads.csv"
    table.write_text("\n".join(lines) + "\n")
    cohort = dlp.run_cohort(table, "3dblur", out=root / "heads-blurred", root=root, notebook=REPORT, progress=False)
    job_service(Workspace(root)).close()  # so that Lab's server starts the jobs from now on
    return cohort


def take_cohort(page: Page, lab: Lab, cohort: Cohort, folder: Path) -> None:
    """All pictures of a cohort that was run in the root of a Lab."""
    page.set_viewport_size(_WIDE)
    for path, name in (
        (cohort.summary, "cohort-summary.png"),
        (cohort.path / "cases/head-03/report.html", "cohort-report.png"),
        (cohort.path / "cases/head-06/failure.html", "cohort-failure.png"),
    ):
        page.goto(path.as_uri())
        _save(page, folder / name)
    lab.open(page)
    panel = open_panel(page)
    group = panel.get_by_role("button", name=cohort.path.name)
    group.wait_for()
    group.click()
    _save(page, folder / "panel-cohort.png")


def _save(page: Page, path: Path) -> None:
    page.screenshot(path=path, full_page=True)
    print(path)
