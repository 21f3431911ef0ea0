"""`/series`: register a series, list the series, read one."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from seriesgate.server.cursor import decode_cursor, encode_cursor
from seriesgate.server.openapi import operation_id, problems
from seriesgate.server.problem import FieldError, ProblemError
from seriesgate.server.report_request import (
    REPORT_REQUEST,
    read_idempotency_key,
    read_report,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.store import Store, store_of
from seriesgate.server.store import Outcome, SeriesFilter, StoredSeries
from seriesgate.server.tokens import Scope

router = APIRouter(tags=["series"], generate_unique_id_function=operation_id)

# A database or a log may choke on control characters; no value that is kept has any.
_VALUE = r"^[^\x00-\x1f\x7f-\x9f]*$"


class SeriesQuery(BaseModel):
    """The query parameters of the list. A series is listed if it has each value that is given."""

    model_config = ConfigDict(extra="forbid")

    StudyInstanceUID: str | None = Field(None, max_length=128, pattern=_VALUE)
    PatientID: str | None = Field(None, max_length=1024, pattern=_VALUE)
    Modality: str | None = Field(None, max_length=1024, pattern=_VALUE)
    limit: int = Field(100, ge=1, le=1000, description="at most this many series")
    cursor: str | None = Field(
        None, max_length=512, description="`next_cursor` of the page before this one"
    )


class SeriesList(BaseModel):
    """One page of series, newest first."""

    series: list[StoredSeries]
    next_cursor: str | None = Field(description="cursor of the next page; null on the last one")


@router.post(
    "/series",
    status_code=HTTPStatus.CREATED,
    response_model=StoredSeries,
    response_description="The series is new",
    responses={
        200: {"model": StoredSeries, "description": "The series was known; this is its row now"},
        **problems(HTTPStatus.CONFLICT),
    },
    openapi_extra=REPORT_REQUEST,
    dependencies=[requires(Scope.REGISTER)],
)
async def register_series(request: Request) -> Response:
    """Register a series, or tell more of one that is known. Repeat it as often as needed.

    The row kept is the report with the most instances, then with the highest revision, as a whole.
    A report that says less changes nothing; the answer is the row that is kept. A known series with
    another StudyInstanceUID or PatientID is a contradiction: 409.
    """
    report = await read_report(request)
    store = await store_of(request)
    registration = await store.register(report, read_idempotency_key(request))
    if registration.outcome is Outcome.CREATED:
        location = f"/series/{quote(registration.series.SeriesInstanceUID, safe='')}"
        return _json(registration.series, HTTPStatus.CREATED, {"Location": location})
    return _json(registration.series)


@router.get(
    "/series",
    response_model=SeriesList,
    dependencies=[requires(Scope.READ)],
)
async def list_series(query: Annotated[SeriesQuery, Query()], store: Store) -> Response:
    """List the series, newest first: by the time when their first report came.

    Follow `next_cursor` for all of them. Series that come meanwhile don't shift the pages.
    """
    wanted = SeriesFilter(query.StudyInstanceUID, query.PatientID, query.Modality)
    try:
        after = None if query.cursor is None else decode_cursor(query.cursor)
    except ValueError as error:
        wrong = FieldError(field="cursor", message=str(error))
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the cursor is not valid", [wrong]
        ) from None
    page = await store.page(wanted, limit=query.limit, after=after)
    following = None if page.following is None else encode_cursor(page.following)
    return _json(SeriesList.model_construct(series=list(page.series), next_cursor=following))


@router.get(
    "/series/{SeriesInstanceUID:path}",
    response_model=StoredSeries,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.READ)],
)
async def read_series(
    series_instance_uid: Annotated[
        str, Path(alias="SeriesInstanceUID", max_length=128, pattern=_VALUE)
    ],
    store: Store,
) -> Response:
    """Read the row of one series."""
    series = await store.get(series_instance_uid)
    if series is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this SeriesInstanceUID is known")
    return _json(series)


def _json(
    model: BaseModel, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return Response(model.model_dump_json(), status, headers, media_type="application/json")
