"""A real `jupyter lab` with folders of its own, for the browser tests and the screenshots."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import jupyter_path
from playwright.sync_api import Page

from tests.patience import PATIENCE_S

PATIENCE_MS = 1000 * PATIENCE_S

CHROMIUM = os.environ.get("DLP_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# The browser itself is not to call anybody either.
CHROMIUM_ARGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Attributes:
        url: With "/" at its end.
        token: Lets a browser in.
        root: The folder that the file browser shows.
        log: What it prints.
    """

    url: str
    token: str
    root: Path
    log: Path

    def open(self, page: Page) -> None:
        """Open Lab in a workspace of its own, so that pages do not restore each other's layout."""
        workspace = f"test{secrets.token_hex(4)}"
        page.goto(f"{self.url}lab/workspaces/{workspace}?token={self.token}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=PATIENCE_MS)
        page.wait_for_selector(".jp-DirListing-content", timeout=PATIENCE_MS)

    def reply(self, route: str) -> object:
        """What a GET route of the server answers.

        Raises:
            OSError: It does not answer, or refuses.
        """
        request = urllib.request.Request(self.url + route, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=5) as response:
            reply: object = json.load(response)
        return reply


@contextlib.contextmanager
def running_lab(root: Path, home: Path, *options: str, again: Lab | None = None) -> Iterator[Lab]:
    """Start JupyterLab with `root` in its file browser, and end it with all that it started.

    Args:
        root: Existing folder.
        home: Empty folder for settings, workspaces and the log.
        options: More command line options.
        again: One that has ended, whose address and token it takes.
    """
    if not any((Path(folder) / "dlp-lab/package.json").is_file() for folder in jupyter_path("labextensions")):
        raise RuntimeError("JupyterLab has no extension dlp-lab here: run `pip install .` in this environment")
    _switch_off_the_news(home)
    lab = again or Lab(f"http://127.0.0.1:{_free_port()}/", secrets.token_hex(16), root, home / "lab.log")
    with lab.log.open("ab") as log:
        process = subprocess.Popen(
            [*_command(lab, home), *options],
            cwd=home,
            env=_environment(home),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_it_answers(lab, process)
            yield lab
        finally:
            _end(process)


def _command(lab: Lab, home: Path) -> list[str]:
    port = lab.url.rstrip("/").rpartition(":")[2]
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--port-retries=0", f"--IdentityProvider.token={lab.token}"),
        f"--ServerApp.root_dir={lab.root}",
        f"--LabApp.workspaces_dir={home / 'workspaces'}",
        f"--LabApp.user_settings_dir={home / 'settings'}",
        # nothing that asks the internet
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        # window.jupyterapp, to change the theme
        "--LabApp.expose_app_in_browser=True",
    ]


def _switch_off_the_news(home: Path) -> None:
    settings = home / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false"}')


def _environment(home: Path) -> dict[str, str]:
    """The user's own Jupyter settings must not decide what a test sees."""
    own = {"HOME": home, "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_DATA_DIR": home / "data"}
    return {**os.environ, **{name: str(path) for name, path in own.items()}, "JUPYTER_PREFER_ENV_PATH": "1"}


def _free_port() -> int:
    """Below those that the system hands out, of which another test's kernel might take it before the Lab does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait_until_it_answers(lab: Lab, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            lab.reply("dlp-lab/api/v1/tasks")
            return
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"the server extension answers {error.code}:\n{lab.log.read_text()}") from None
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"jupyter lab did not start:\n{lab.log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, end)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
