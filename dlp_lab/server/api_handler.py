"""What all routes share: who may come in, how a body is read, how an error is answered. Routes hold no try/except."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from dlp_lab.errors import DlpError, MalformedRequest
from dlp_lab.jobs.job import ErrorReply

if TYPE_CHECKING:
    from dlp_lab.jobs.service import JobService  # loads numpy, which must not delay JupyterLab's start

AUTH_RESOURCE = "dlp_lab"
JOBS_SETTING = "dlp_lab_open_queue"
MAX_BODY_BYTES = 2**20

P = ParamSpec("P")
T = TypeVar("T")


class DlpHandler(APIHandler):
    """Base of all routes. Every method of a route is `@web.authenticated` and `@authorized`; a test walks them."""

    auth_resource = AUTH_RESOURCE

    async def jobs(self) -> JobService:
        """The queue; opened at the first call."""
        open_queue: Callable[[], Awaitable[JobService]] = self.settings[JOBS_SETTING]
        return await open_queue()

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what touches files without holding up the server."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def json_body(self, kind: type[T], example: str) -> T:
        """The request's body.

        Args:
            kind: Struct that the body must fit.
            example: A body that does, for the message.

        Raises:
            MalformedRequest: The body is not JSON, lacks an attribute or has one too many.
        """
        if len(self.request.body) > MAX_BODY_BYTES:
            raise MalformedRequest(f"the body is larger than {MAX_BODY_BYTES} bytes; send JSON such as {example}")
        try:
            return msgspec.json.decode(self.request.body, type=kind)
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
            body = self.error_body(error.code, str(error))
        else:
            phrase = responses.get(status_code, "Unknown")
            hint = {
                401: "log in, or send the header 'Authorization: token <token>'",
                403: "log in, or send the header 'Authorization: token <token>'",
                500: "an unexpected error; the server's log has the details",
            }.get(status_code, phrase)
            if isinstance(error, HTTPError) and error.log_message and status_code == HTTPStatus.FORBIDDEN:
                hint = f"{error.log_message}; {hint}"
            body = self.error_body(phrase.upper().replace(" ", "_"), hint)
        self.finish(msgspec.json.encode(body))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, DlpError):
            # the code alone: the message may name a patient's folder
            self.log.info("%s %s: %s", self.request.method, type(self).__name__, value.code)
        else:
            super().log_exception(typ, value, tb)


def _raised(kwargs: dict[str, Any]) -> BaseException | None:
    exc_info = kwargs.get("exc_info")
    return exc_info[1] if exc_info else None
