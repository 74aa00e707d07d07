"""Versioned API: jobs."""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from dlp_lab.errors import MalformedRequest
from dlp_lab.jobs.job import (
    JOB_STATES,
    BatchReply,
    BatchRequest,
    BatchVerdict,
    Job,
    JobList,
    JobLogPart,
    JobRequest,
    checked_key,
)
from dlp_lab.jobs.job_filter import JobFilter, job_filter
from dlp_lab.server.api_handler import ENDINGS_SETTING, DlpHandler
from dlp_lab.server.job_endings import JobEndings
from dlp_lab.server.operation import Query, operation

_EXAMPLE = '{"task": "3dblur", "input_dir": "dicom_data", "params": {"sigma_mm": 2}}'
_EXAMPLE_OF_SEVERAL = f'{{"jobs": [{_EXAMPLE}]}}'
NEWEST = 200
_MOST_BYTES = 10**15
_LONGEST_WAIT_SECONDS = 20

_TEXT = {"type": "string", "maxLength": 1000, "pattern": r"^[^\u0000]*$"}
_MOMENT = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
_FILTERS = (
    Query(
        "state",
        "Only jobs in this state, or in one of these with commas between; may be repeated.",
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^({'|'.join(JOB_STATES)})(,({'|'.join(JOB_STATES)}))*$"},
        },
    ),
    Query("task", "Only jobs of this task.", _TEXT),
    Query("group", "Only jobs of this group, such as a cohort.", _TEXT),
    Query("about", "Only jobs with each of these words in the name of the input folder, task or group.", _TEXT),
    Query("submitted_after", "Only jobs submitted later.", _MOMENT),
    Query("submitted_before", "Only jobs submitted earlier.", _MOMENT),
    Query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": NEWEST, "default": NEWEST}),
    Query("before", "Only jobs submitted before the one of this uid: `next_before` of a listing.", {"type": "string"}),
)


class _Several(msgspec.Struct):
    """A body that asks for several jobs, or not."""

    jobs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class JobsHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs`."""

    @web.authenticated
    @authorized
    @operation(JobList, 400, 404, query=_FILTERS)
    async def get(self) -> None:
        """List the jobs, newest first."""
        limit = self.number_argument("limit", NEWEST, 1, NEWEST)
        wanted, before = self._filter(), self.get_query_argument("before", None)
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.newest, limit, wanted, before))

    def _filter(self) -> JobFilter:
        return job_filter(
            states=filter(None, ",".join(self.get_query_arguments("state")).split(",")),
            task=self.text_argument("task"),
            group=self.text_argument("group"),
            about=self.text_argument("about"),
            submitted_after=self.get_query_argument("submitted_after", None),
            submitted_before=self.get_query_argument("submitted_before", None),
        )

    @web.authenticated
    @authorized
    @operation(
        Job,
        *(400, 422, 429, 507),
        status=HTTPStatus.CREATED,
        also={HTTPStatus.OK: BatchReply},
        bodies=(JobRequest, BatchRequest),
        idempotent=True,
    )
    async def post(self) -> None:
        """Submit a job, or several, each of which is taken or refused by itself."""
        key = self.request.headers.get("Idempotency-Key")
        if self._asks_for_several():
            several = self.json_body(BatchRequest, _EXAMPLE_OF_SEVERAL)
            self.reply(BatchReply(verdicts=await self._verdicts(several, key)))
            return
        request = self.json_body(JobRequest, _EXAMPLE)
        jobs = await self.jobs()
        job = await self.in_slow_thread(jobs.submit, request, key)
        self.set_header("Location", url_path_join(self.base_url, "dlp-lab/api/v1/jobs", job.uid))
        self.reply(job, HTTPStatus.CREATED)

    def _asks_for_several(self) -> bool:
        return not isinstance(self.json_body(_Several, _EXAMPLE).jobs, msgspec.UnsetType)

    async def _verdicts(self, several: BatchRequest, key: str | None) -> list[BatchVerdict]:
        """One after the other, so that who asks for one job meanwhile need not wait for all of these."""
        # the same key with the same number is the same request
        keys = None if key is None else hashlib.sha256(checked_key(key).encode()).hexdigest()
        jobs = await self.jobs()
        return [
            await self.in_slow_thread(jobs.verdict, request, keys and f"{keys}/{number}")
            for number, request in enumerate(several.jobs)
        ]


class JobHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>`."""

    @web.authenticated
    @authorized
    @operation(
        Job,
        *(400, 404),
        query=(
            Query(
                "wait_seconds",
                "So long the answer may be put off, until the job has ended.",
                {"type": "integer", "minimum": 0, "maximum": _LONGEST_WAIT_SECONDS, "default": 0},
            ),
        ),
    )
    async def get(self, uid: str) -> None:
        """Tell of a job, at once or when it has ended."""
        seconds = self.number_argument("wait_seconds", 0, 0, _LONGEST_WAIT_SECONDS)
        endings: JobEndings = self.settings[ENDINGS_SETTING]
        jobs = await self.jobs()
        with endings.watched(uid) as ending:
            job = await self.in_thread(jobs.get, uid)
            if seconds and not job.ended:
                await asyncio.wait([ending], timeout=seconds)
                job = await self.in_thread(jobs.get, uid)
        self.reply(job)

    @web.authenticated
    @authorized
    @operation(
        None,
        *(400, 404, 409, 500),
        status=HTTPStatus.NO_CONTENT,
        query=(Query("result", "What becomes of its result.", {"enum": ["keep", "delete"], "default": "keep"}),),
    )
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
    @operation(Job, 404, 409)
    async def post(self, uid: str) -> None:
        """Cancel a job; a running one stops within a few seconds."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.cancel, uid))


class RetryHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/retry`."""

    @web.authenticated
    @authorized
    @operation(Job, 404, 409, 429, 507)
    async def post(self, uid: str) -> None:
        """Put a job that failed or was cancelled in the queue again."""
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.retry, uid))


class LogHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/log`."""

    @web.authenticated
    @authorized
    @operation(
        JobLogPart,
        *(400, 404),
        query=(
            Query(
                "offset",
                "The byte to begin with: `next_offset` of the part before.",
                {"type": "integer", "minimum": 0, "maximum": _MOST_BYTES, "default": 0},
            ),
        ),
    )
    async def get(self, uid: str) -> None:
        """Show what the job printed, up to 64 KiB."""
        offset = self.number_argument("offset", 0, 0, _MOST_BYTES)
        jobs = await self.jobs()
        self.reply(await self.in_thread(jobs.log_part, uid, offset))


ROUTES = [
    (r"api/v1/jobs/?", JobsHandler),
    (r"api/v1/jobs/([^/]+)", JobHandler),
    (r"api/v1/jobs/([^/]+)/cancel", CancelHandler),
    (r"api/v1/jobs/([^/]+)/log", LogHandler),
    (r"api/v1/jobs/([^/]+)/retry", RetryHandler),
]
