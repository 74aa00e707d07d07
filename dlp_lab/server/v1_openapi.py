"""Versioned API: what it is, for programs."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.openapi import openapi
from dlp_lab.server.operation import operation

ROUTES_SETTING = "dlp_lab_routes"


class OpenApiHandler(DlpHandler):
    """`dlp-lab/api/v1/openapi.json`."""

    @web.authenticated
    @authorized
    @operation("application/json")
    async def get(self) -> None:
        """Describe all routes: this document."""
        self.reply(openapi(self.settings[ROUTES_SETTING], url_path_join(self.base_url, "dlp-lab")))


ROUTES = [(r"api/v1/openapi\.json", OpenApiHandler)]
