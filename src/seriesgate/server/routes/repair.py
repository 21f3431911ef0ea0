"""`/series/{SeriesInstanceUID}/repair`: make a row anew, without a report that is not true."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from seriesgate.server.access.tokens import Scope
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.registry.store import NoOtherReport, Outcome, StoredSeries
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.series_query import VALUE_PATTERN
from seriesgate.server.routes.store import Store

router = APIRouter(tags=["series"], generate_unique_id_function=operation_id)


class RepairQuery(BaseModel):
    """Which reports are too much."""

    model_config = ConfigDict(extra="forbid")

    at_most: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="reports of more instances than this are withdrawn; without it, those of as "
        "many as the row has",
    )


@router.post(
    "/series/{SeriesInstanceUID:uid}/repair",
    response_model=StoredSeries,
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    dependencies=[requires(Scope.ADMIN)],
)
async def repair_series(
    series_instance_uid: Annotated[
        str, Path(alias="SeriesInstanceUID", max_length=128, pattern=VALUE_PATTERN)
    ],
    query: Annotated[RepairQuery, Query()],
    request: Request,
    store: Store,
) -> Response:
    """Withdraw reports that count too many instances; the row is what the others say.

    For a row that nothing true can replace, since the report with the most instances is kept. What
    is withdrawn stays in the history, and has no effect when it comes again.
    """
    try:
        registration = await store.repair(series_instance_uid, query.at_most)
    except NoOtherReport:
        detail = "there is no other report of this series: delete it, and have it reported again"
        raise ProblemError(HTTPStatus.CONFLICT, detail) from None
    if registration is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this SeriesInstanceUID is known")
    if registration.outcome is not Outcome.UNCHANGED:
        request.app.state.feed.announce()
    return json_answer(registration.series)
