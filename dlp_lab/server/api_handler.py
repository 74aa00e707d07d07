"""What all routes share: who may come in, how a body is read, how an error is answered. Routes hold no try/except."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, stream_request_body

from dlp_lab.errors import DlpError, MalformedRequest
from dlp_lab.jobs.job import ErrorReply

if TYPE_CHECKING:
    from dlp_lab.jobs.service import JobService  # loads numpy, which must not delay JupyterLab's start
    from dlp_lab.server.slow_calls import SlowCalls

AUTH_RESOURCE = "dlp_lab"
JOBS_SETTING = "dlp_lab_open_queue"
WORKSPACE_SETTING = "dlp_lab_workspace"
SLOW_CALLS_SETTING = "dlp_lab_slow_calls"
MAX_BODY_BYTES = 2**20

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
        length = self.request.headers.get("Content-Length", "")
        self._refuse_beyond_limit(int(length) if length.isdecimal() else 0)

    def data_received(self, chunk: bytes) -> None:
        if len(self._body) <= MAX_BODY_BYTES:
            self._body += chunk

    def _refuse_beyond_limit(self, size: int) -> None:
        if size > MAX_BODY_BYTES:
            raise MalformedRequest(f"the body is larger than {MAX_BODY_BYTES} bytes, more than any request needs")

    async def jobs(self) -> JobService:
        """The queue; opened at the first call."""
        open_queue: Callable[[], Awaitable[JobService]] = self.settings[JOBS_SETTING]
        return await open_queue()

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
            raise MalformedRequest(f"{error}; send JSON such as {example}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise MalformedRequest(f"the body is not JSON; send JSON such as {example}") from None

    def reply(self, body: object, status: int = HTTPStatus.OK) -> None:
        """Answer with a struct as JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(body))

    def error_body(self, code: str, message: str) -> object:
        """What a refusal looks like; the unversioned routes have another form."""
        return ErrorReply(code=code, message=message)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = _raised(kwargs)
        super().send_error(error.http_status if isinstance(error, DlpError) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = _raised(kwargs)
        if isinstance(error, DlpError):
            if error.retry_after_seconds is not None:
                self.set_header("Retry-After", error.retry_after_seconds)
            body = self.error_body(error.code, str(error))
        else:
            phrase = responses.get(status_code, "Unknown")
            body = self.error_body(phrase.upper().replace(" ", "_"), self.hint(status_code, error) or phrase)
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
