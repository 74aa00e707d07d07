"""Versioned API: the series of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab.errors import MalformedRequest
from dlp_lab.jobs.replies import SeriesList
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.operation import Query, operation

if TYPE_CHECKING:
    from dlp_lab.jobs.series_catalog import SeriesCatalog  # loads pydicom

_DIR = Query("dir", "The folder, relative to the root; `.` is the root itself.", {"type": "string"}, required=True)
_SERIES = Query("series", "SeriesInstanceUID of the series.", {"type": "string"}, required=True)
_CATALOG_SETTING = "dlp_lab_series_catalog"


class _OfFolder(DlpHandler):
    def asked(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.text_argument(name)
        if value is None:
            raise MalformedRequest(f"{name} is missing; ask for {self.request.path}?{name}=...")
        return value

    async def catalog(self) -> SeriesCatalog:
        if _CATALOG_SETTING not in self.settings:
            from dlp_lab.jobs.series_catalog import SeriesCatalog

            jobs = await self.all_jobs()
            self.settings.setdefault(_CATALOG_SETTING, SeriesCatalog(jobs.workspace, jobs.refuse_when_closing))
        catalog: SeriesCatalog = self.settings[_CATALOG_SETTING]
        return catalog


class SeriesHandler(_OfFolder):
    """`dlp-lab/api/v1/series`."""

    @web.authenticated
    @authorized
    @operation(SeriesList, 400, 422, query=(_DIR,))
    async def get(self) -> None:
        """List the series in a folder, each with its verdict."""
        folder = self.asked("dir")
        catalog = await self.catalog()
        self.reply(await self.in_slow_thread(catalog.series, folder))


class ThumbnailHandler(_OfFolder):
    """`dlp-lab/api/v1/series/thumbnail`."""

    @web.authenticated
    @authorized
    @operation("image/png", 400, 422, also={304: None}, query=(_DIR, _SERIES))
    async def get(self) -> None:
        """Show the middle slice of a series; of one that is refused, the reason."""
        folder, series = self.asked("dir"), self.asked("series")
        catalog = await self.catalog()
        await self.reply_with_picture(await self.in_slow_thread(catalog.subject, folder, series))


ROUTES = [
    (r"api/v1/series", SeriesHandler),
    (r"api/v1/series/thumbnail", ThumbnailHandler),
]
