"""Versioned API: whether the server is there, and which version it is."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab import __version__
from dlp_lab.jobs.job import Health
from dlp_lab.server.api_handler import WORKSPACE_SETTING, DlpHandler
from dlp_lab.store.workspace import Workspace


class HealthHandler(DlpHandler):
    """`dlp-lab/api/v1/health`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The version of dlp-lab, and where it keeps things."""
        workspace: Workspace = self.settings[WORKSPACE_SETTING]
        self.reply(
            Health(
                version=__version__,
                root_offset=_offset(workspace.root, Path(os.path.realpath(self.settings["server_root_dir"]))),
                logs_dir=workspace.relative(workspace.logs_folder),
            )
        )


def _offset(root: Path, server_root: Path) -> str | None:
    if not root.is_relative_to(server_root):
        return None
    return "" if root == server_root else root.relative_to(server_root).as_posix()


ROUTES = [(r"api/v1/health", HealthHandler)]
