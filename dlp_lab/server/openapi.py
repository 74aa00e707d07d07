"""The OpenAPI document, made of the routes, of what is said beside each, and of the structs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from dlp_lab import __version__
from dlp_lab.jobs.job import ErrorReply
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.job_routes import MsgHandler, QueryReply
from dlp_lab.server.operation import Operation, operation_of

JsonObject = dict[str, Any]
Route = tuple[str, type[DlpHandler]]

METHODS = ("get", "post", "delete")
_GROUP = re.compile(r"\([^)]*\)")
_ERRORS_OF_ALL = (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
_WHY = {
    400: "The request cannot be understood.",
    403: "Not logged in, or not allowed.",
    404: "There is no such thing, or it is another user's.",
    409: "The job is in another state than that needs.",
    416: "The file has not the bytes that are asked for.",
    422: "The request is understood, and cannot be done; the message says what to do.",
    429: "As many jobs wait as may.",
    500: "It failed.",
    503: "The queue cannot be used, or the server is about to stop.",
    507: "The disk has too little room.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_UID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def openapi(routes: Sequence[Route], base_url: str) -> JsonObject:
    """The document, OpenAPI 3.1.

    Args:
        routes: All addresses with their handlers.
        base_url: Where they lie, `<base_url of the server>dlp-lab`.
    """
    said = list(_operations(routes))
    structs: set[type] = {ErrorReply, QueryReply}
    for _, _, _, method in said:
        found = operation_of(method)
        structs.update(found.bodies, (reply for reply in found.replies.values() if isinstance(reply, type)))
    ordered = sorted(structs, key=lambda struct: struct.__name__)
    references, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(ordered, references, strict=True))
    paths: JsonObject = {}
    for path, verb, handler, method in said:
        paths.setdefault(path, {})[verb] = _described(path, verb, handler, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dlp-lab",
            "version": __version__,
            "description": "Medical-image processing: DICOM in, derived DICOM out, by jobs in a durable queue.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token <token of the Jupyter server>`",
                }
            },
        },
    }


def _operations(routes: Sequence[Route]) -> Iterator[tuple[str, str, type[DlpHandler], Callable[..., Any]]]:
    for pattern, handler in routes:
        for verb in METHODS:
            method = vars(handler).get(verb)
            if method is not None:
                yield _path(pattern, _path_names(method)), verb, handler, method


def _path(pattern: str, names: Sequence[str]) -> str:
    """The address of a route, with the names of its parameters: `/jobs/{uid}` for `jobs/([^/]+)/?`."""
    waiting = iter(names)
    return "/" + _GROUP.sub(lambda _: f"{{{next(waiting)}}}", pattern.removesuffix("/?")).replace("\\", "")


def _path_names(method: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(method).parameters)[1:]


def _described(
    path: str, verb: str, handler: type[DlpHandler], method: Callable[..., Any], schemas: dict[type, Any]
) -> JsonObject:
    said = operation_of(method)
    described: JsonObject = {
        "operationId": f"{verb}{handler.__name__.removesuffix('Handler')}",
        "summary": inspect.cleandoc(method.__doc__ or ""),
        "tags": [path.removeprefix("/api/v1").split("/")[1]],
        "parameters": _parameters(method, said),
        "responses": {str(status): _reply(reply, status, schemas) for status, reply in said.replies.items()},
    }
    refusal = schemas[QueryReply if issubclass(handler, MsgHandler) else ErrorReply]
    for status in sorted({*said.errors, *_ERRORS_OF_ALL}):
        response: JsonObject = {"description": _WHY[status], "content": {"application/json": {"schema": refusal}}}
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            response["headers"] = _RETRY_AFTER
        described["responses"][str(int(status))] = response
    if said.bodies:
        bodies = [schemas[body] for body in said.bodies]
        schema = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _parameters(method: Callable[..., Any], said: Operation) -> list[JsonObject]:
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": _UID if name == "uid" else {"type": "string"}}
        for name in _path_names(method)
    ]
    parameters += [
        {
            "name": query.name,
            "in": "query",
            "description": query.description,
            "required": query.required,
            "schema": query.schema,
        }
        for query in said.query
    ]
    if said.idempotent:
        key = {"type": "string", "pattern": "^[ -~]{1,255}$"}
        what = "Names the request, so that it can be sent again without a second job."
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": what, "schema": key})
    if said.ranges:
        what = "Which bytes, such as `bytes=0-1023`."
        parameters.append({"name": "Range", "in": "header", "description": what, "schema": {"type": "string"}})
    return parameters


def _reply(reply: type | str | None, status: int, schemas: dict[type, Any]) -> JsonObject:
    response: JsonObject = {"description": HTTPStatus(status).phrase}
    if isinstance(reply, str):
        response["content"] = {reply: {}}
    elif reply is not None:
        response["content"] = {"application/json": {"schema": schemas[reply]}}
    if status == HTTPStatus.CREATED:
        response["headers"] = {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}}
    return response
