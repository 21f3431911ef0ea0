"""How a route answers with what it has read."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def json_answer(
    model: BaseModel, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a model that is known to be valid, which FastAPI would check once more."""
    return Response(model.model_dump_json(), status, headers, media_type="application/json")
