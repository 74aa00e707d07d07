"""Versioned API: whether the server is there, and which version it is."""

from __future__ import annotations

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab import __version__
from dlp_lab.server.api_handler import DlpHandler


class Health(msgspec.Struct, frozen=True):
    """Reply of the health route."""

    version: str


class HealthHandler(DlpHandler):
    """`dlp-lab/api/v1/health`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The version of dlp-lab."""
        self.reply(Health(__version__))


ROUTES = [(r"api/v1/health", HealthHandler)]
