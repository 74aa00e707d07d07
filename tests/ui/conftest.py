"""Fixtures of the browser tests: a real Lab, and Debian's or another installed Chromium; no browser is downloaded."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog, Error, Page, Request, expect

from tests.ui.lab_server import CHROMIUM, CHROMIUM_ARGS, PATIENCE_MS, Lab, running_lab

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if CHROMIUM is None:
        # Where a browser is promised, skipping would hide that no test ran.
        give_up = pytest.fail if os.environ.get("DLP_LAB_REQUIRE_BROWSER") else pytest.skip
        give_up("no chromium on this machine: apt-get install chromium, or name one in DLP_LAB_CHROMIUM")
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": CHROMIUM_ARGS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="session")
def lab(browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for all tests; each uses folders of its own."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    with running_lab(root, home, "--DlpLabApp.max_concurrent_jobs=1") as running:
        yield running


@pytest.fixture(autouse=True)
def page_behaves(page: Page) -> Iterator[None]:
    """In every test: no error in the page, no pop-up of the browser, no request to another machine."""
    page.context.set_default_timeout(PATIENCE_MS)
    found: list[str] = []
    own = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")

    def on_error(error: Error) -> None:
        found.append(f"error: {error}")

    def on_dialog(dialog: Dialog) -> None:
        found.append(f"pop-up: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Request) -> None:
        if not request.url.startswith(own):
            found.append(f"request: {request.url}")

    page.on("pageerror", on_error)
    page.on("dialog", on_dialog)
    page.on("request", on_request)
    yield
    assert found == []


# pytest-jupyter's two automatic fixtures create and close an event loop, but Playwright keeps one running in this
# thread ("Cannot close a running event loop"). Here nothing needs them.


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    return None


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the Lab printed of late is told where a test fails."""
    report = yield
    for fixture in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(fixture, Lab):
            report.sections.append(("what Lab printed", fixture.log.read_text(errors="replace")[-10_000:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What users do in the browser, as sentences, and how long each took with its set-up."""
    seconds: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.nodeid.startswith("tests/ui/"):
                seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration
    terminalreporter.section("browser tests")
    for name, took in seconds.items():
        sentence = name.split("::test_")[-1].replace("_", " ").replace("[chromium]", "").replace("[chromium-", " [")
        terminalreporter.line(f"{took:6.1f} s  {sentence}")
