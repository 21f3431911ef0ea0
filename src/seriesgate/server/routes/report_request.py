"""From a request to the report in it.

The one request that comes often is read here by hand and not through FastAPI's parameters: its
body parser takes NaN for JSON, and its parameters cost a quarter of the whole request.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json

from seriesgate.series.report import Series
from seriesgate.server.http.exception_handlers import field_errors
from seriesgate.server.http.problem import FieldError, ProblemError
from seriesgate.server.routes.openapi import reference

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

_JSON = "application/json"
_IDEMPOTENCY_KEY = "Idempotency-Key"
_KEY = re.compile(r"[ -~]{1,255}")  # printable ASCII
_MOMENTS = ("FirstInstanceAt", "LastInstanceAt", "ClosedAt")

REPORT_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": _IDEMPOTENCY_KEY,
            "in": "header",
            "required": False,
            "description": "names the delivery in the history of the series",
            "schema": {"type": "string", "pattern": f"^{_KEY.pattern}$"},
        }
    ],
    "requestBody": {"required": True, "content": {_JSON: {"schema": reference(Series)}}},
}
"""What these functions read, for OpenAPI."""


async def read_report(request: Request) -> Series:
    """Give the report that a request carries, its times in UTC.

    Raises ProblemError: 415 for another media type than JSON in UTF-8, 422 for what is not JSON
    (RFC 8259: no NaN, no lone surrogate) or not a report.
    """
    _check_media_type(request.headers.get("content-type", ""))
    try:
        document = from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        raise _unprocessable("the body is not JSON", _error("", str(error))) from None
    try:
        report = Series.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise _unprocessable("the body is not a report", *field_errors(errors)) from None
    return _in_utc(report)


def read_idempotency_key(request: Request) -> str | None:
    """Give the Idempotency-Key of a request, or None. Raises ProblemError (422) for a bad one."""
    key = request.headers.get(_IDEMPOTENCY_KEY)
    if key is not None and not _KEY.fullmatch(key):
        wrong = _error(_IDEMPOTENCY_KEY, "Must be 1 to 255 printable ASCII characters")
        raise _unprocessable("a header is not valid", wrong)
    return key


def _check_media_type(content_type: str) -> None:
    if content_type == _JSON:
        return
    header = Message()
    header["Content-Type"] = content_type
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() != _JSON or charset not in {"utf-8", "utf8"}:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Type must be application/json, in UTF-8",
            headers={"Accept": _JSON},
        )


def _in_utc(report: Series) -> Series:
    moments = {}
    for name in _MOMENTS:
        moment: datetime | None = getattr(report, name)
        if moment is not None and moment.utcoffset():
            try:
                moments[name] = moment.astimezone(UTC)
            except OverflowError:
                wrong = _error(name, "Is outside the years 1 to 9999 in UTC")
                raise _unprocessable("the body is not a report", wrong) from None
    return report.model_copy(update=moments) if moments else report


def _error(field: str, message: str) -> FieldError:
    return FieldError(field=field, message=message)


def _unprocessable(detail: str, *errors: FieldError) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)
