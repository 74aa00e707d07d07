"""The summary of a cohort in a browser, without a server."""

from __future__ import annotations

from playwright.sync_api import Page

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.summary_page import summary_page

RECORDS = [
    CaseRecord(case_id="case-2", state="succeeded", params={"sigma_mm": 10.0}, seconds=3.0),
    CaseRecord(case_id="case-10", state="failed", message="slices are missing", params={"sigma_mm": 9.0}),
    CaseRecord(case_id="case-1", state="succeeded", params={"sigma_mm": 1.0}, seconds=20.0),
]


def open_summary(page: Page) -> None:
    page.set_content(summary_page("heads", "3dblur", RECORDS, {}, "../out", is_running=False).decode())


def shown(page: Page) -> list[str]:
    return page.locator("tbody tr:not([hidden]) .case").all_inner_texts()


def test_a_click_on_a_head_sorts_numbers_as_numbers_and_names_as_people_do(page: Page) -> None:
    open_summary(page)
    page.get_by_role("button", name="sigma_mm").click()
    assert shown(page) == ["case-1", "case-10", "case-2"]
    page.get_by_role("button", name="sigma_mm").click()
    assert shown(page) == ["case-2", "case-10", "case-1"]
    page.get_by_role("button", name="case", exact=True).click()
    assert shown(page) == ["case-1", "case-2", "case-10"]
    page.get_by_role("button", name="time").click()
    assert shown(page) == ["case-2", "case-1", "case-10"]  # what has none comes last


def test_cases_are_found_by_words_and_by_their_state(page: Page) -> None:
    open_summary(page)
    page.get_by_role("searchbox").fill("MISSING slices")
    assert shown(page) == ["case-10"]
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="1 failed").click()
    assert shown(page) == ["case-10"]
    page.get_by_role("button", name="1 failed").click()
    assert shown(page) == ["case-2", "case-10", "case-1"]


def test_the_page_asks_for_nothing_and_breaks_no_rule_of_its_own(page: Page) -> None:
    asked, told = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    open_summary(page)
    assert (asked, told) == ([], [])
