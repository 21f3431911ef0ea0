"""The one shape of every error answer: RFC 9457 problem details.

No text of it ever repeats what the client sent: that may be patient data, and answers are logged.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBLEM_MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str = Field(
        description="name of the field, parameter or header; empty for the request as a whole",
        examples=["InstancesInSeries"],
    )
    message: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """An error, as `application/problem+json` (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: str = Field(description="the name of the status", examples=["Conflict"])
    status: int = Field(description="the HTTP status", examples=[409])
    detail: str = Field(description="what is wrong, for people")
    errors: list[FieldError] = Field(default_factory=list)


class ProblemError(HTTPException):
    """Raised by a route, or below it, to answer with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = errors


def problem_response(
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Give the answer for an error."""
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors)
    )
    return Response(problem.model_dump_json(), status, headers, media_type=PROBLEM_MEDIA_TYPE)
