"""`/dicom-web/…`: QIDO-RS, the search of DICOMweb (PS3.18 10.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic_core import to_json

from seriesgate.server.access.tokens import Scope
from seriesgate.server.dicomweb.attributes import ATTRIBUTES, ResourceLevel
from seriesgate.server.dicomweb.json_model import series_object, study_object
from seriesgate.server.dicomweb.qido import MAX_LIMIT, BadQuery, QidoQuery, read_query
from seriesgate.server.http.problem import FieldError, ProblemError
from seriesgate.server.registry.query import Attribute, OneOf, SeriesFilter
from seriesgate.server.registry.store import (
    PagePosition,
    SeriesStore,
    StoredSeries,
    StudySummary,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.series_query import VALUE_PATTERN
from seriesgate.server.routes.store import Store

router = APIRouter(
    prefix="/dicom-web",
    tags=["DICOMweb"],
    generate_unique_id_function=operation_id,
    dependencies=[requires(Scope.READ)],
)

_DICOM_JSON = "application/dicom+json"
_ACCEPTED = ("application/dicom+json", "application/json", "application/*", "*/*")
#: How long a search may take, in seconds, before it is too broad.
_PATIENCE = 5.0
_NOT_FUZZY = (
    '299 seriesgate "The fuzzymatching parameter is not supported. '
    'Only literal matching has been performed."'
)
_MORE = '299 seriesgate "There are additional results that can be requested"'

Item = TypeVar("Item")
Page = tuple[list[Item], PagePosition | None]


def _parameter(name: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def _described(*levels: ResourceLevel) -> dict[str, Any]:
    """Give what FastAPI can't find of a route: its parameters are read from the request."""
    matched = [
        _parameter(each.keyword, {"type": "string"}, f"match ({each.tag}); the tag may name it too")
        for each in ATTRIBUTES
        if each.matched is not None and each.level in levels
    ]
    return {
        "parameters": [
            *matched,
            _parameter("includefield", {"type": "string"}, "attributes to add, or `all`"),
            _parameter("fuzzymatching", {"type": "boolean"}, "true is answered with a Warning"),
            _parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 9_999_999},
                f"at most this many results, and {MAX_LIMIT}",
            ),
            _parameter(
                "offset",
                {"type": "integer", "minimum": 0, "maximum": 1_000_000},
                "skip this many results",
            ),
        ]
    }


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What was found, in the DICOM JSON model",
        "content": {_DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
    },
    204: {"description": "Nothing was found"},
    **problems(
        HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ),
}


@router.get(
    "/studies",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_described(ResourceLevel.STUDY),
)
async def search_for_studies(request: Request, store: Store) -> Response:
    """Search for studies. A study is found by its series that came first."""
    query = _query(request, ResourceLevel.STUDY)

    async def read(limit: int, after: PagePosition | None) -> Page[StudySummary]:
        page = await store.studies(query.wanted, limit=limit, after=after)
        return list(page.studies), page.following

    studies, has_more = await _search(read, query)
    return _answer([study_object(study, query.included) for study in studies], query, has_more)


@router.get(
    "/series",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_described(ResourceLevel.STUDY, ResourceLevel.SERIES),
)
async def search_for_series(request: Request, store: Store) -> Response:
    """Search for series of all studies; each comes with the attributes of its study."""
    query = _query(request, ResourceLevel.SERIES)
    return await _series(store, query, with_study=True)


@router.get(
    "/studies/{StudyInstanceUID:uid}/series",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_described(ResourceLevel.SERIES),
)
async def search_for_series_of_a_study(
    request: Request,
    study_instance_uid: Annotated[
        str, Path(alias="StudyInstanceUID", max_length=128, pattern=VALUE_PATTERN)
    ],
    store: Store,
) -> Response:
    """Search for series of one study."""
    query = _query(request, ResourceLevel.SERIES, study_instance_uid)
    return await _series(store, query, with_study=False)


def _query(
    request: Request, level: ResourceLevel, study_instance_uid: str | None = None
) -> QidoQuery:
    accepted = ",".join(request.headers.getlist("accept")) or "*/*"
    kinds = [kind.split(";")[0].strip().lower() for kind in accepted.split(",")]
    if not any(kind in _ACCEPTED for kind in kinds):
        raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, f"only {_DICOM_JSON} can be given")
    try:
        return read_query(request.query_params.multi_items(), level, study_instance_uid)
    except BadQuery as error:
        wrong = FieldError(field=error.parameter, message=str(error))
        detail = "a query parameter is not valid"
        raise ProblemError(HTTPStatus.BAD_REQUEST, detail, [wrong]) from None


async def _series(store: SeriesStore, query: QidoQuery, *, with_study: bool) -> Response:
    async def read(limit: int, after: PagePosition | None) -> Page[StoredSeries]:
        page = await store.page(query.wanted, limit=limit, after=after)
        return list(page.series), page.following

    found, has_more = await _search(read, query)
    studies = await _studies_of(store, found)
    objects = [
        series_object(row, studies[row.StudyInstanceUID], query.included, with_study=with_study)
        for row in found
    ]
    return _answer(objects, query, has_more)


async def _studies_of(store: SeriesStore, found: list[StoredSeries]) -> dict[str, StudySummary]:
    uids = tuple({row.StudyInstanceUID for row in found})
    if not uids:
        return {}
    wanted = SeriesFilter((OneOf(Attribute.STUDY, uids),))
    studies: dict[str, StudySummary] = {}
    after: PagePosition | None = None
    while len(studies) < len(uids):
        page = await store.studies(wanted, limit=len(uids), after=after)
        studies |= {study.StudyInstanceUID: study for study in page.studies}
        after = page.following
        if after is None:
            break
    return studies


async def _search(
    read: Callable[[int, PagePosition | None], Awaitable[Page[Item]]], query: QidoQuery
) -> tuple[list[Item], bool]:
    """Read until the wanted part is there. Raises ProblemError for a search that is too broad."""
    now = asyncio.get_running_loop().time
    deadline = now() + _PATIENCE
    found: list[Item] = []
    skipped = 0
    after: PagePosition | None = None
    while len(found) < query.limit:
        items, after = await read(
            min(query.offset - skipped or query.limit - len(found), MAX_LIMIT), after
        )
        if skipped < query.offset:
            skipped += len(items)
        else:
            found += items
        if after is None:
            break
        if now() > deadline:
            detail = "the search is too broad; add a condition"
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return found, after is not None


def _answer(objects: list[dict[str, Any]], query: QidoQuery, has_more: bool) -> Response:
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    if objects:
        # The encoder of `json` takes three times as long, in which nothing else happens.
        response = Response(to_json(objects), media_type=_DICOM_JSON)
    if query.fuzzy_matching:
        response.headers.append("Warning", _NOT_FUZZY)
    if has_more:
        response.headers.append("Warning", _MORE)
    return response
