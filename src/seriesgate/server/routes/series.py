"""`/series`: register a series, list and export the series, read one."""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field, RootModel

from seriesgate.series.report import Series
from seriesgate.series.uid import as_path_segment
from seriesgate.server.access.tokens import Scope
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.registry.cursor import encode_cursor
from seriesgate.server.registry.export import CSV, JSON_LINES, ExportFormat, export
from seriesgate.server.registry.store import (
    Outcome,
    PagePosition,
    SeriesStore,
    SeriesWasDeleted,
    StoredSeries,
    UnknownPosition,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.direct_route import DirectRoute
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.report_request import (
    REPORT_REQUEST,
    read_idempotency_key,
    read_report,
)
from seriesgate.server.routes.series_query import (
    VALUE_PATTERN,
    SeriesConditions,
    SeriesQuery,
    full_page,
    unprocessable,
)
from seriesgate.server.routes.store import Store

router = APIRouter(tags=["series"], generate_unique_id_function=operation_id)
registration_router = APIRouter(
    tags=["series"], generate_unique_id_function=operation_id, route_class=DirectRoute
)
"""Of the one request that comes often."""

_HISTORY = 100


class SeriesList(BaseModel):
    """One page of series."""

    series: list[StoredSeries]
    next_cursor: str | None = Field(
        description="cursor of the next page; null on the last one. A search that takes long gives "
        "what it has found so far, which may be nothing, and a cursor to search on"
    )


class HistoryEntry(BaseModel):
    """A report as it was accepted, and when it came."""

    ReceivedAt: AwareDatetime
    IdempotencyKey: str | None
    Report: Series


class SeriesWithHistory(StoredSeries):
    """The row of a series and the reports that it is made from."""

    History: list[HistoryEntry] = Field(
        description=f"the latest {_HISTORY} reports that said something new, the newest first"
    )


class NotKept(BaseModel):
    """The answer to a report of a series that was deleted."""

    SeriesInstanceUID: str
    Outcome: Literal["deleted"] = "deleted"
    Detail: Literal["this series was deleted, and its reports are not kept"] = (
        "this series was deleted, and its reports are not kept"
    )


class KnownSeries(RootModel[StoredSeries | NotKept]):
    """The row of a series that was known, or that it was deleted."""


@registration_router.post(
    "/series",
    status_code=HTTPStatus.CREATED,
    response_model=StoredSeries,
    response_description="The series is new",
    responses={
        200: {
            "model": KnownSeries,
            "description": "The series was known, this is its row now; or it was deleted",
        },
        **problems(HTTPStatus.CONFLICT),
    },
    openapi_extra=REPORT_REQUEST,
    dependencies=[requires(Scope.REGISTER)],
)
async def register_series(request: Request) -> Response:
    """Register a series, or tell more of one that is known. Repeat it as often as needed.

    The row kept is the report with the most instances, then with the highest revision, as a whole.
    A report that says less changes nothing; the answer is the row that is kept. A known series with
    another StudyInstanceUID or PatientID is a contradiction: 409. A gateway may correct its own
    report, by a later revision that counts no fewer instances. A series that was deleted stays so:
    the report is taken, for whoever sent it has no more to do, and not kept.
    """
    report = await read_report(request)
    store: SeriesStore = request.app.state.store
    try:
        registration = await store.register(report, read_idempotency_key(request))
    except SeriesWasDeleted:
        request.app.state.metrics.report(Outcome.DELETED)
        return json_answer(NotKept(SeriesInstanceUID=report.SeriesInstanceUID))
    request.app.state.metrics.report(registration.outcome)
    if registration.outcome is not Outcome.UNCHANGED:
        request.app.state.feed.announce()
    if registration.outcome is Outcome.CREATED:
        location = f"/series/{as_path_segment(registration.series.SeriesInstanceUID)}"
        return json_answer(registration.series, HTTPStatus.CREATED, {"Location": location})
    return json_answer(registration.series)


@router.get(
    "/series",
    response_model=SeriesList,
    dependencies=[requires(Scope.READ)],
)
async def list_series(query: Annotated[SeriesQuery, Query()], store: Store) -> Response:
    """List the series, the newest first unless told otherwise: by when their first report came.

    Follow `next_cursor` for all of them. Series that come meanwhile don't shift the pages.
    """
    wanted, order = query.filter(), query.order()

    async def read(
        limit: int, after: PagePosition | None
    ) -> tuple[list[StoredSeries], PagePosition | None]:
        page = await store.page(wanted, limit=limit, after=after, order=order)
        return list(page.series), page.following

    try:
        series, following = await full_page(read, query.limit, query.position())
    except UnknownPosition as error:
        raise unprocessable("cursor", str(error)) from None
    next_cursor = None if following is None else encode_cursor(following)
    return json_answer(SeriesList.model_construct(series=series, next_cursor=next_cursor))


def _exported(export_format: ExportFormat) -> dict[int | str, dict[str, Any]]:
    content = {export_format.media_type: {"schema": {"type": "string"}}}
    return {200: {"description": "Every series that is wanted", "content": content}}


@router.get(
    "/series.csv",
    response_class=StreamingResponse,
    responses=_exported(CSV),
    dependencies=[requires(Scope.READ)],
)
async def export_csv(query: Annotated[SeriesConditions, Query()], store: Store) -> Response:
    """Export series as CSV (RFC 4180, UTF-8), the oldest first.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    return await _export(store, query, CSV)


@router.get(
    "/series.jsonl",
    response_class=StreamingResponse,
    responses=_exported(JSON_LINES),
    dependencies=[requires(Scope.READ)],
)
async def export_json_lines(query: Annotated[SeriesConditions, Query()], store: Store) -> Response:
    """Export series as JSON Lines, the oldest first: one object a line, as `GET /series` has it."""
    return await _export(store, query, JSON_LINES)


async def _export(store: Store, query: SeriesConditions, export_format: ExportFormat) -> Response:
    pieces = export(store, query.filter(), export_format)
    first = await anext(pieces)  # a database that can't be read is an answer of its own

    async def every_piece() -> AsyncIterator[str]:
        yield first
        async for piece in pieces:
            yield piece

    name = f'attachment; filename="series.{export_format.suffix}"'
    headers = {"Content-Disposition": name}
    media_type = f"{export_format.media_type}; charset=utf-8"
    return StreamingResponse(every_piece(), headers=headers, media_type=media_type)


@router.get(
    "/series/{SeriesInstanceUID:uid}",
    response_model=SeriesWithHistory,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.READ)],
)
async def read_series(
    series_instance_uid: Annotated[
        str, Path(alias="SeriesInstanceUID", max_length=128, pattern=VALUE_PATTERN)
    ],
    store: Store,
) -> Response:
    """Read the row of one series, with its history."""
    series = await store.get(series_instance_uid)
    if series is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this SeriesInstanceUID is known")
    entries = await store.history(series_instance_uid, limit=_HISTORY)
    history = [
        HistoryEntry(
            ReceivedAt=entry.received_at,
            IdempotencyKey=entry.idempotency_key,
            Report=Series.model_validate(json.loads(entry.report)),
        )
        for entry in entries
    ]
    return json_answer(SeriesWithHistory.model_construct(**vars(series), History=history))
