"""`DELETE /series/…` and `/patients/…`: the registry lets go of what it keeps."""

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from seriesgate.server.access.tokens import Scope
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.registry.store import DeletionReason
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.series_query import VALUE_PATTERN, unprocessable
from seriesgate.server.routes.store import Store

if TYPE_CHECKING:
    from seriesgate.server.access.tokens import Grant

router = APIRouter(generate_unique_id_function=operation_id, dependencies=[requires(Scope.ADMIN)])

_log = logging.getLogger(__name__)


class DeletionQuery(BaseModel):
    """What holds after a deletion."""

    model_config = ConfigDict(extra="forbid")

    may_return: bool = Field(
        default=False,
        description="whether a later report brings a deleted series back; without it such a report "
        "is answered 200, and not kept",
    )


class Deleted(BaseModel):
    """What was deleted."""

    Series: int = Field(description="how many series; 0 for one that was only allowed to return")


@router.delete(
    "/series/{SeriesInstanceUID:uid}",
    tags=["series"],
    response_model=Deleted,
    responses=problems(HTTPStatus.NOT_FOUND),
)
async def delete_series(
    series_instance_uid: Annotated[
        str, Path(alias="SeriesInstanceUID", max_length=128, pattern=VALUE_PATTERN)
    ],
    query: Annotated[DeletionQuery, Query()],
    request: Request,
    store: Store,
) -> Response:
    """Delete a series: its row, history, picture, changes, and what webhooks are owed of it.

    Those who follow the changes are told, by its UID. With `may_return` a series that was deleted
    before is allowed to come back.
    """
    was_there = await store.get(series_instance_uid) is not None
    if not await store.delete_series(series_instance_uid, may_return=query.may_return):
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this SeriesInstanceUID is known")
    return _deleted(int(was_there), request)


@router.delete(
    "/patients/{PatientID:name}",
    tags=["patients"],
    response_model=Deleted,
    responses=problems(HTTPStatus.NOT_FOUND),
)
async def delete_patient(
    patient_id: Annotated[str, Path(alias="PatientID", max_length=1024, pattern=VALUE_PATTERN)],
    query: Annotated[DeletionQuery, Query()],
    request: Request,
    store: Store,
) -> Response:
    """Delete every series of a PatientID, as `DELETE /series/…` does one.

    What is sent of the patient later, other series, is registered. Series without a PatientID are
    of no one patient, and are deleted one by one.
    """
    if not patient_id.strip(" "):
        raise unprocessable("PatientID", "Must not be empty")
    count = await store.delete_patient(patient_id, may_return=query.may_return)
    if count == 0:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no series with this PatientID is known")
    return _deleted(count, request)


def _deleted(count: int, request: Request) -> Response:
    grant: Grant | None = request.state.grant
    name = "someone without a token" if grant is None else grant.name
    _log.info("%d series deleted, as %s asked", count, name)
    request.app.state.metrics.deleted(DeletionReason.DELETED, count)
    request.app.state.feed.announce()
    return json_answer(Deleted(Series=count))
