"""Every exception that can reach the edge of the API, and the problem that answers it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from seriesgate.server.http.problem import FieldError, ProblemError, problem_response
from seriesgate.server.registry.store import SeriesContradiction, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_RETRY_AFTER = {"Retry-After": "5"}  # seconds
_MAX_ERRORS = 20


def add_exception_handlers(app: FastAPI) -> None:
    """Make the app answer every error with a problem."""
    handled = (
        HTTPException,
        RequestValidationError,
        SeriesContradiction,
        StoreUnavailable,
        ClientDisconnect,
        Exception,
    )
    for exception in handled:
        app.add_exception_handler(exception, _answer)


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Give pydantic's errors in our shape: the first few, and of each the field and the message.

    pydantic's messages tell the rule and not the input. A pattern is no rule for people, so that
    message is our own; and the name of an unknown parameter is something the client wrote.
    """
    return [_field_error(error) for _, error in zip(range(_MAX_ERRORS), errors, strict=False)]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "string_pattern_mismatch":
        return FieldError(field=field, message="Has a character that is not allowed here")
    if error["type"] == "extra_forbidden":
        return FieldError(field="", message="There is a parameter that is not known")
    return FieldError(field=field, message=error["msg"])


def _allowed(request: Request) -> dict[str, str]:
    """Give the Allow header of a path: of all its routes, where Starlette looks at the first."""
    methods = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }
    if "GET" in methods:  # see `http.head`
        methods.add("HEAD")
    return {"Allow": ", ".join(sorted(methods))}


async def _answer(request: Request, error: Exception) -> Response:
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] | None = None
    match error:
        case HTTPException():
            status, detail, headers = HTTPStatus(error.status_code), error.detail, error.headers
            errors = error.errors if isinstance(error, ProblemError) else ()
            if status is HTTPStatus.METHOD_NOT_ALLOWED:
                headers = _allowed(request)
        case RequestValidationError():
            status, detail = HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid"
            # The first part of `loc` says where the parameter was: path, query or header.
            errors = field_errors({**each, "loc": each["loc"][1:]} for each in error.errors())
        case SeriesContradiction():
            status, detail = HTTPStatus.CONFLICT, str(error)
            errors = [FieldError(field=error.field, message="Differs from what is known")]
        case StoreUnavailable():
            status, detail, headers = HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY_AFTER
        case ClientDisconnect():  # nobody reads this answer; it only keeps the log clean
            status, detail = HTTPStatus.BAD_REQUEST, "the request ended too early"
        case _:
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "the server's log says what failed"
    return problem_response(status, detail, errors, headers)
