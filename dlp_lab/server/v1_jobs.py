"""Versioned API: jobs."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from dlp_lab.jobs.job import JobList, JobRequest
from dlp_lab.server.api_handler import DlpHandler

_EXAMPLE = '{"task": "3dblur", "input_dir": "dicom_data", "params": {"sigma_mm": 2}}'
NEWEST = 200


class JobsHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The newest jobs."""
        jobs = await self.jobs()
        total = await self.in_thread(jobs.count)
        newest = await self.in_thread(jobs.newest, NEWEST)
        self.reply(JobList(jobs=newest, older=max(0, total - len(newest))))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Submit a job."""
        request = self.json_body(JobRequest, _EXAMPLE)
        jobs = await self.jobs()
        job = await self.in_slow_thread(jobs.submit, request)
        self.set_header("Location", url_path_join(self.base_url, "dlp-lab/api/v1/jobs", job.uid))
        self.reply(job, HTTPStatus.CREATED)


class JobHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>`."""

    @web.authenticated
    @authorized
    async def get(self, uid: str) -> None:
        """One job."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.get, uid))


class CancelHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/cancel`."""

    @web.authenticated
    @authorized
    async def post(self, uid: str) -> None:
        """Cancel a job; a running one stops within a few seconds."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.cancel, uid))


ROUTES = [
    (r"api/v1/jobs/?", JobsHandler),
    (r"api/v1/jobs/([^/]+)", JobHandler),
    (r"api/v1/jobs/([^/]+)/cancel", CancelHandler),
]
