"""The panel with a cohort of more jobs than are listed, long names and long messages, as narrow as it may be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from dlp_lab.store.workspace import Workspace
from tests.jobs.filled_queue import fill_queue
from tests.ui.lab_server import Lab, running_lab
from tests.ui.panel_page import open_panel

IN_GROUP = 1500
GROUP = "heads & <b>more</b> " + "g" * 200


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Lab]:
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    fill_queue(Workspace(root), 2000, ("succeeded", "failed", "cancelled"), GROUP, range(491, 1991))
    with closing(sqlite3.connect(Workspace(root).queue_database)) as database, database:
        database.execute(
            "UPDATE jobs SET state = 'failed', input_dir = ?, message = ? WHERE seq = 2000",
            ("صور/" + "x" * 250, "word " * 2000),
        )
    with running_lab(root, home, "--DlpLabApp.max_concurrent_jobs=1") as running:
        yield running


def test_a_group_tells_of_all_its_jobs_in_one_request_and_stays_in_sight(page: Page, crowded: Lab) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    crowded.open(page)
    panel = open_panel(page)
    header = panel.locator(".dlp-Group-header")
    expect(header).to_contain_text(f"{IN_GROUP} of {IN_GROUP} jobs ended · 500 failed · 500 cancelled")
    assert len([request for request in asked if "v1/jobs?" in request.url]) == 1

    header.click()
    row = panel.locator(".dlp-Group .dlp-Job").nth(100)
    row.scroll_into_view_if_needed()
    expect(header).to_be_in_viewport()
    expect(panel.get_by_label("State")).to_be_in_viewport()
    of_no_group = panel.locator(".dlp-Job:not(.dlp-Group *)").first
    within, beside = row.bounding_box(), of_no_group.bounding_box()
    assert within and beside
    assert within["x"] > beside["x"]  # what belongs to the group is set in
    expect(panel).to_contain_text(f"190 of its {IN_GROUP} jobs are listed.")


def test_long_names_and_messages_neither_widen_a_narrow_panel_nor_fill_it(page: Page, crowded: Lab) -> None:
    crowded.open(page)
    panel = open_panel(page)
    failed = panel.locator(".dlp-Job").first
    expect(failed.locator(".dlp-Job-failure")).to_contain_text("word")
    box = failed.bounding_box()
    assert box and box["height"] < 300
    panel.locator(".dlp-Group-header").click()
    panel.evaluate("node => { node.style.minWidth = node.style.maxWidth = '200px'; }")
    widths = panel.evaluate(
        "node => [node, ...node.querySelectorAll('*')].map(one => one.getBoundingClientRect().right - "
        "node.getBoundingClientRect().left)"
    )
    assert panel.evaluate("node => [node.clientWidth <= 200, node.scrollWidth <= node.clientWidth]") == [True, True]
    assert max(widths) <= 201


def test_what_is_refused_is_told_where_it_is_seen(page: Page, crowded: Lab) -> None:
    crowded.open(page)
    panel = open_panel(page)
    page.route(
        "**/v1/jobs/*/retry*",
        lambda route: route.fulfill(status=429, json={"code": "QUEUE_FULL", "message": "as many wait as may"}),
    )
    panel.locator(".dlp-Job[data-state=failed]").first.get_by_role("button", name="Try again:").click()
    expect(page.locator(".jp-toast-message").filter(has_text="as many wait as may")).to_be_visible()
