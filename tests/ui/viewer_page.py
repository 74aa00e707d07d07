"""What a user does with the slice viewer, for the browser tests, the screenshots and the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Locator, Page

from tests.patience import PATIENCE_S
from tests.ui.lab_server import PATIENCE_MS

READY = ".dlp-Viewer[data-ready=true]:visible"


def open_document(page: Page, path: str) -> Locator:
    """Open a file as a double click does; returns the viewer once it shows slices."""
    page.evaluate(
        "path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)",
        path,
    )
    return shown_viewer(page)


def open_viewer(page: Page, **volumes: Mapping[str, Any] | list[str]) -> Locator:
    """Open volumes as other parts of the extension do: `before`, `after`, `labels`, `names`."""
    page.evaluate("args => window.jupyterapp.commands.execute('dlp-lab:open-viewer', args).then(() => null)", volumes)
    return shown_viewer(page)


def shown_viewer(page: Page) -> Locator:
    viewer = page.locator(READY)
    viewer.wait_for(timeout=PATIENCE_MS)
    return viewer


def plane(viewer: Locator, title: str, role: str | None = None) -> Locator:
    """The canvas of a plane."""
    which = f"[data-role={role}]" if role else ""
    return viewer.locator(f"canvas[data-plane={title}]{which}")


def status(viewer: Locator, part: str) -> str:
    """A part of the line below the planes: value, position, slice or window."""
    return viewer.locator(f".dlp-Viewer-status [data-part={part}]").inner_text()


def wait_until_drawn(page: Page) -> None:
    """What the last event changed is drawn two frames later at most."""
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => null)"
    )


def choose(viewer: Locator, label: str, option: str) -> None:
    viewer.get_by_label(label, exact=True).select_option(label=option)


def run_all_cells(page: Page) -> None:
    """Run the notebook that is open, once its kernel answers."""
    run_cells(page, "notebook:run-all-cells")


def run_cells(page: Page, command: str) -> None:
    """Have Lab run cells by one of its commands, once the kernel answers, and wait until one of them has a number.

    What is run right after a kernel started may be lost without a word, so it is asked for again.
    """
    page.wait_for_function(
        """() => {
            const session = window.jupyterapp.shell.currentWidget?.sessionContext?.session;
            return session?.kernel?.status === 'idle' && session.kernel.info;
        }""",
        timeout=PATIENCE_MS,
    )
    page.wait_for_timeout(1000)
    for _ in range(round(PATIENCE_S / 2)):
        page.evaluate("command => { void window.jupyterapp.commands.execute(command); }", command)
        page.wait_for_timeout(2000)
        prompts = page.locator(".jp-Notebook .jp-InputPrompt").all_inner_texts()
        if any(prompt.strip("[]: ") for prompt in prompts):
            return
    raise RuntimeError("the notebook does not run")
