"""The two routes that scripts use: `POST /job/` and `GET /query/<uid>`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab.jobs.job import ErrorReply, Job, JobRequest, OutputForm, Priority, ReadOptions
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.operation import operation

_EXAMPLE = '{"job_name": "3dblur", "in_dir": "dicom_data"}'


class SubmitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /job/`."""

    job_name: str
    in_dir: str
    params: dict[str, Any] = {}
    keep_hdf5: bool = False
    read: ReadOptions = ReadOptions()
    priority: Priority = 0
    output_form: OutputForm = "series"


class Submitted(msgspec.Struct, frozen=True):
    """Reply to `POST /job/`."""

    uid: str


class QueryReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reply to `GET /query/<uid>`."""

    msg: str
    uid: str = ""
    state: str = ""
    progress: float | None = None
    message: str | None = None
    output_dir: str | None = None


class MsgHandler(DlpHandler):
    """Base of the routes whose refusals are `{"msg": ...}`."""

    def error_body(self, refusal: ErrorReply) -> object:
        return QueryReply(msg=refusal.message)


class SubmitHandler(MsgHandler):
    """`POST /job/`."""

    @web.authenticated
    @authorized
    @operation(Submitted, 400, 422, 429, 507, status=HTTPStatus.CREATED, bodies=(SubmitBody,), idempotent=True)
    async def post(self) -> None:
        """Submit a job."""
        body = self.json_body(SubmitBody, _EXAMPLE)
        request = JobRequest(
            task=body.job_name,
            input_dir=body.in_dir,
            params=body.params,
            keep_hdf5=body.keep_hdf5,
            read=body.read,
            priority=body.priority,
            output_form=body.output_form,
        )
        jobs = await self.jobs()
        job = await self.in_slow_thread(jobs.submit, request, self.request.headers.get("Idempotency-Key"))
        self.reply(Submitted(job.uid), HTTPStatus.CREATED)


class QueryHandler(MsgHandler):
    """`GET /query/<uid>`."""

    @web.authenticated
    @authorized
    @operation(QueryReply, 404, 500, also={HTTPStatus.ACCEPTED: QueryReply})
    async def get(self, uid: str) -> None:
        """Tell whether a job is running (202), has completed (200), or has not (500)."""
        jobs = await self.jobs()
        job = await self.in_thread(jobs.get, uid)
        reply, status = _reply_about(job)
        self._is_as_prescribed = True
        self.reply(reply, status)

    _is_as_prescribed = False

    def _log(self) -> None:
        # That a job failed is told with status 500; the server is well, so it is no error in its log.
        if self._is_as_prescribed:
            self.log.info("%d %s query", self.get_status(), self.request.method)
        else:
            super()._log()


def _reply_about(job: Job) -> tuple[QueryReply, HTTPStatus]:
    if job.state == "succeeded":
        done = QueryReply(msg="Job has completed", uid=job.uid, state=job.state, output_dir=job.output_dir)
        return done, HTTPStatus.OK
    if job.ended:
        how = "Job was cancelled" if job.state == "cancelled" else f"Job has failed: {job.message}"
        return QueryReply(msg=how, uid=job.uid, state=job.state), HTTPStatus.INTERNAL_SERVER_ERROR
    running = QueryReply(msg="Job is running", uid=job.uid, state=job.state, progress=job.progress, message=job.message)
    return running, HTTPStatus.ACCEPTED


ROUTES = [
    (r"job/?", SubmitHandler),
    (r"query/([^/]+)/?", QueryHandler),
]
