"""Versioned API: jobs."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from dlp_lab.errors import MalformedRequest
from dlp_lab.jobs.job import JobRequest, JobState, states_named
from dlp_lab.server.api_handler import DlpHandler

_EXAMPLE = '{"task": "3dblur", "input_dir": "dicom_data", "params": {"sigma_mm": 2}}'
NEWEST = 200
_LONGEST_NUMBER = 15


class JobsHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The newest jobs; `state`, `before` and `limit` say which."""
        limit, states = self._limit(), self._states()
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.newest, limit, states, self.get_query_argument("before", None)))

    def _limit(self) -> int:
        text = self.get_query_argument("limit", str(NEWEST))
        limit = _number(text)
        if limit is None or not 1 <= limit <= NEWEST:
            raise MalformedRequest(f"limit is a number from 1 to {NEWEST}; got {text[:20]!r}")
        return limit

    def _states(self) -> list[JobState]:
        names = ",".join(self.get_query_arguments("state")).split(",")
        return states_named(filter(None, names))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Submit a job."""
        request = self.json_body(JobRequest, _EXAMPLE)
        jobs = await self.jobs()
        job = await self.in_slow_thread(jobs.submit, request, self.request.headers.get("Idempotency-Key"))
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

    @web.authenticated
    @authorized
    async def delete(self, uid: str) -> None:
        """Forget a job that has ended; its result stays, unless `result=delete` is asked for."""
        what = self.get_query_argument("result", "keep")
        if what not in ("keep", "delete"):
            raise MalformedRequest(f"result is 'keep' or 'delete'; got {what[:20]!r}")
        jobs = await self.jobs()
        await self.in_thread(jobs.remove, uid, with_result=what == "delete")
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class CancelHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/cancel`."""

    @web.authenticated
    @authorized
    async def post(self, uid: str) -> None:
        """Cancel a job; a running one stops within a few seconds."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.cancel, uid))


class RetryHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/retry`."""

    @web.authenticated
    @authorized
    async def post(self, uid: str) -> None:
        """Put a job that failed or was cancelled in the queue again."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.retry, uid))


class LogHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/log`."""

    @web.authenticated
    @authorized
    async def get(self, uid: str) -> None:
        """What the job printed, from the byte `offset` on."""
        text = self.get_query_argument("offset", "0")
        offset = _number(text)
        if offset is None:
            raise MalformedRequest(f"offset is a number of bytes; got {text[:20]!r}")
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.log_part, uid, offset))


def _number(text: str) -> int | None:
    """A number of a query; None for anything else. Python itself refuses to read one of thousands of digits."""
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


ROUTES = [
    (r"api/v1/jobs/?", JobsHandler),
    (r"api/v1/jobs/([^/]+)", JobHandler),
    (r"api/v1/jobs/([^/]+)/cancel", CancelHandler),
    (r"api/v1/jobs/([^/]+)/log", LogHandler),
    (r"api/v1/jobs/([^/]+)/retry", RetryHandler),
]
