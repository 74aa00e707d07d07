"""Versioned API: whether the server is well, and how it is made."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab import __version__
from dlp_lab.jobs.job import Health
from dlp_lab.server.api_handler import WORKSPACE_SETTING, DlpHandler
from dlp_lab.server.operation import operation
from dlp_lab.store.workspace import Workspace

if TYPE_CHECKING:
    from dlp_lab.jobs.service import JobService

CAPACITY_SETTING = "dlp_lab_capacity"


@dataclass(frozen=True)
class Capacity:
    """Where jobs run, and how many at once, should this server be the one to start them."""

    executor: str
    slots: int


class HealthHandler(DlpHandler):
    """`dlp-lab/api/v1/health`."""

    @web.authenticated
    @authorized
    @operation(Health)
    async def get(self) -> None:
        """Tell whether the server is well, and where it keeps things."""
        workspace: Workspace = self.settings[WORKSPACE_SETTING]
        server_root = Path(os.path.realpath(self.settings["server_root_dir"]))
        self.reply(
            await self.in_thread(
                _health, workspace, await self.all_jobs(), self.settings[CAPACITY_SETTING], server_root
            )
        )


def _health(workspace: Workspace, jobs: JobService, capacity: Capacity, server_root: Path) -> Health:
    return Health(
        version=__version__,
        root_offset=_offset(workspace.root, server_root),
        logs_dir=workspace.relative(workspace.logs_folder),
        executor=capacity.executor,
        slots=capacity.slots,
        has_dispatcher=jobs.has_dispatcher(),
        trouble=jobs.trouble(),
        free_bytes=shutil.disk_usage(jobs.workspace.output_folder).free,
        jobs=jobs.count_by_state(),
    )


def _offset(root: Path, server_root: Path) -> str | None:
    if not root.is_relative_to(server_root):
        return None
    return "" if root == server_root else root.relative_to(server_root).as_posix()


ROUTES = [(r"api/v1/health", HealthHandler)]
