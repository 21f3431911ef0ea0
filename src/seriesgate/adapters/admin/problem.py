"""Every error answer of the administration: RFC 9457 problem details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus


def problem(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None, **more: object
) -> JSONResponse:
    """Return the answer for an error; `more` are further members. Never quotes the request."""
    members = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    return JSONResponse({**members, **more}, status, headers, media_type="application/problem+json")
