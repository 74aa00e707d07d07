"""What a method of a route takes and answers, said beside it; the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Query:
    """A parameter behind the question mark.

    Attributes:
        name: Of the parameter.
        description: What it is for.
        schema: JSON Schema of its value.
        required: Whether it must be there.
    """

    name: str
    description: str
    schema: dict[str, Any]
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """What one method of a route takes and answers.

    Attributes:
        replies: For each status of success the struct of the body, the media type of one that is no JSON, or None.
        errors: Statuses of refusals, beside those that every route has.
        bodies: Structs one of which the request's body is.
        query: Parameters behind the question mark.
        idempotent: Whether the header `Idempotency-Key` is heeded.
        ranges: Whether the header `Range` is.
    """

    replies: dict[int, type | str | None]
    errors: tuple[int, ...] = ()
    bodies: tuple[type, ...] = ()
    query: tuple[Query, ...] = ()
    idempotent: bool = False
    ranges: bool = False


def operation(
    reply: type | str | None,
    *errors: int,
    status: int = HTTPStatus.OK,
    also: dict[int, type | str | None] | None = None,
    bodies: tuple[type, ...] = (),
    query: tuple[Query, ...] = (),
    idempotent: bool = False,
    ranges: bool = False,
) -> Callable[[F], F]:
    """Say what a method takes and answers; see `Operation`. `also` has further statuses of success."""

    def said_of(method: F) -> F:
        replies = {int(status): reply, **(also or {})}
        vars(method)["operation"] = Operation(replies, tuple(map(int, errors)), bodies, query, idempotent, ranges)
        return method

    return said_of


def operation_of(method: Callable[..., Any]) -> Operation:
    """What was said of a method.

    Raises:
        LookupError: Nothing was.
    """
    said = getattr(method, "operation", None)
    if not isinstance(said, Operation):
        raise LookupError(f"{method.__qualname__} does not say what it takes and answers; decorate it with @operation")
    return said
