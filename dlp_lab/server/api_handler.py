"""What all routes share: who may come in, how a body is read, how an error is answered. Routes hold no try/except."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, stream_request_body

from dlp_lab.errors import DlpError, ErrorDetail, MalformedRequest, detail_of_validation
from dlp_lab.jobs.job import ErrorReply, refusal_of
from dlp_lab.server.user_jobs import UserJobs

if TYPE_CHECKING:
    from dlp_lab.jobs.drawing import Subject
    from dlp_lab.jobs.service import JobService  # loads numpy, which must not delay JupyterLab's start
    from dlp_lab.server.pictures import Pictures
    from dlp_lab.server.slow_calls import SlowCalls

AUTH_RESOURCE = "dlp_lab"
JOBS_SETTING = "dlp_lab_open_queue"
WORKSPACE_SETTING = "dlp_lab_workspace"
SLOW_CALLS_SETTING = "dlp_lab_slow_calls"
PICTURES_SETTING = "dlp_lab_pictures"
ENDINGS_SETTING = "dlp_lab_job_endings"
TOLD_APART_SETTING = "dlp_lab_users_are_told_apart"
MAX_BODY_BYTES = 2**20
_LONGEST_NUMBER = 15

P = ParamSpec("P")
T = TypeVar("T")


@stream_request_body  # so that a body is refused by its length, before it is there, and with an answer
class DlpHandler(APIHandler):
    """Base of all routes. Every method of a route is `@web.authenticated` and `@authorized`; a test walks them."""

    auth_resource = AUTH_RESOURCE

    def initialize(self) -> None:
        self._body = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if not self.current_user:  # before the body is read
            raise HTTPError(HTTPStatus.FORBIDDEN)
        length = self.request.headers.get("Content-Length", "")
        self._refuse_beyond_limit(int(length) if length.isascii() and length.isdecimal() else 0)

    def data_received(self, chunk: bytes) -> None:
        if len(self._body) <= MAX_BODY_BYTES:
            self._body += chunk

    def _refuse_beyond_limit(self, size: int) -> None:
        if size > MAX_BODY_BYTES:
            raise MalformedRequest(f"the body is larger than {MAX_BODY_BYTES} bytes, more than any request needs")

    async def jobs(self) -> UserJobs:
        """The queue as who asks may see it; opened at the first call."""
        return UserJobs(
            await self.all_jobs(), self.current_user.username if self.settings[TOLD_APART_SETTING] else None
        )

    async def all_jobs(self) -> JobService:
        """The queue with the jobs of all users, for what tells nothing of any one of them."""
        open_queue: Callable[[], Awaitable[JobService]] = self.settings[JOBS_SETTING]
        return await open_queue()

    def text_argument(self, name: str) -> str | None:
        """A text behind the question mark as it came, if it did: tornado makes blanks of what may be in a name."""
        values = self.request.query_arguments.get(name)
        return self.decode_argument(values[-1], name) if values else None

    def number_argument(self, name: str, default: int, least: int, greatest: int) -> int:
        """A whole number behind the question mark.

        Raises:
            MalformedRequest: It is none, or out of its range.
        """
        text = self.get_query_argument(name, str(default))
        # Python itself refuses to read a number of thousands of digits
        if (
            not (text.isascii() and text.isdecimal())
            or len(text) > _LONGEST_NUMBER + 1
            or not least <= int(text) <= greatest
        ):
            raise MalformedRequest(
                f"{name} is a number from {least} to {greatest}; got {text[:20]!r}",
                ErrorDetail(parameter=name, minimum=least, maximum=greatest),
            )
        return int(text)

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what touches files without holding up the server."""
        return await asyncio.to_thread(function, *args, **kwargs)

    async def in_slow_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may take minutes without holding up the other routes."""
        slow_calls: SlowCalls = self.settings[SLOW_CALLS_SETTING]
        return await slow_calls.run(function, *args, **kwargs)

    def json_body(self, kind: type[T], example: str) -> T:
        """The request's body.

        Args:
            kind: Struct that the body must fit.
            example: A body that does, for the message.

        Raises:
            MalformedRequest: The body is too large, not JSON, lacks an attribute or has one too many.
        """
        self._refuse_beyond_limit(len(self._body))
        try:
            return msgspec.json.decode(self._body, type=kind)
        except RecursionError:
            raise MalformedRequest(f"the body is nested too deeply; send JSON such as {example}") from None
        except msgspec.ValidationError as error:
            raise MalformedRequest(f"{error}; send JSON such as {example}", detail_of_validation(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise MalformedRequest(f"the body is not JSON; send JSON such as {example}") from None

    def reply(self, body: object, status: int = HTTPStatus.OK) -> None:
        """Answer with a struct as JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(body))

    async def reply_with_picture(self, subject: Subject) -> None:
        """Answer with a picture as PNG, or that the one which the client has is still right."""
        etag = await self.in_thread(subject.etag)
        self.set_header("ETag", f'"{etag}"')
        self.set_header("Cache-Control", "private, no-cache")  # kept, and asked about each time
        if self.check_etag_header():
            self.set_status(HTTPStatus.NOT_MODIFIED)
            self.finish()
            return
        pictures: Pictures = self.settings[PICTURES_SETTING]
        self.finish(await pictures.png(etag, subject), set_content_type="image/png")

    def error_body(self, refusal: ErrorReply) -> object:
        """What a refusal looks like; the unversioned routes have another form."""
        return refusal

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = _raised(kwargs)
        super().send_error(error.http_status if isinstance(error, DlpError) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = _raised(kwargs)
        if isinstance(error, DlpError):
            if error.retry_after_seconds is not None:
                self.set_header("Retry-After", error.retry_after_seconds)
            body = self.error_body(refusal_of(error))
        else:
            phrase = responses.get(status_code, "Unknown")
            code = phrase.upper().replace(" ", "_").replace("-", "_")
            body = self.error_body(ErrorReply(code=code, message=self.hint(status_code, error) or phrase))
        self.finish(msgspec.json.encode(body))

    def hint(self, status: int, error: BaseException | None) -> str | None:
        """What to do about a refusal that is Jupyter's."""
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(method for method in self.SUPPORTED_METHODS if method.lower() in vars(type(self)))
            self.set_header("Allow", allowed)
            return f"{self.request.method} is not for this address; use {allowed}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            if "Authorization" in self.request.headers and not self.current_user:
                return (
                    "the token is not this server's; send the header 'Authorization: token <token>' with the right one"
                )
            why = f"{error.log_message}; " if isinstance(error, HTTPError) and error.log_message else ""
            return f"{why}log in, or send the header 'Authorization: token <token>'"
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return "an unexpected error; the server's log has the details"
        return None

    def _log(self) -> None:
        """The line of the access log: the address without what is behind the question mark, which may name a folder."""
        status = self.get_status()
        level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
        milliseconds = 1000 * self.request.request_time()
        address = f"{self.request.method} {self.request.path} ({self.request.remote_ip})"
        self.log.log(logging.DEBUG if status in (200, 304) else level, "%d %s %.2fms", status, address, milliseconds)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, DlpError):
            # the code alone: the message may name a patient's folder
            self.log.info("%s %s: %s", self.request.method, type(self).__name__, value.code)
        elif isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)
        else:
            # type and place alone: a foreign exception's text may name a patient's folder too
            place = "".join(traceback.format_tb(tb))
            self.log.error("%s %s: %s\n%s", self.request.method, type(self).__name__, typ.__qualname__, place)


def _raised(kwargs: dict[str, Any]) -> BaseException | None:
    exc_info = kwargs.get("exc_info")
    return exc_info[1] if exc_info else None
