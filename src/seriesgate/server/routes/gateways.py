"""`/gateways`: how each gateway stands, as it tells itself, and what is wanted of it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seriesgate.series.heartbeat import (
    DELIVERY_ID_PATTERN,
    GATEWAY_NAME_PATTERN,
    DeadLetterNotice,
    Heartbeat,
    HeartbeatAnswer,
)
from seriesgate.server.access.tokens import NAME_PATTERN, Grant, Scope
from seriesgate.server.http.problem import FieldError, ProblemError
from seriesgate.server.registry.gateways import (
    GatewayNameTaken,
    GatewayRecord,
    GatewayStore,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.store import Clock

if TYPE_CHECKING:
    from seriesgate.server.access.authentication import Authentication

router = APIRouter(tags=["gateways"], generate_unique_id_function=operation_id)

GatewayName = Annotated[str, Path(pattern=GATEWAY_NAME_PATTERN, description="`gateway_name`")]
LetterID = Annotated[str, Path(pattern=DELIVERY_ID_PATTERN, description="`DeliveryID`")]


class KnownDeadLetter(DeadLetterNotice):
    """A dead letter, and whether its gateway will be asked to retry it."""

    RetryAsked: bool


class KnownGateway(Heartbeat):
    """A gateway, by its latest heartbeat."""

    Name: str
    LastSeenAt: AwareDatetime
    IsQuiet: bool = Field(description="whether nothing was heard for three of its periods")
    Token: str | None = Field(description="name of the token that its heartbeats come with")
    LateArrivalRate: float = Field(description="SeriesReopened / SeriesClosed")
    DeadLetterList: Sequence[KnownDeadLetter] = Field(  # type: ignore[assignment]
        description="the oldest of them, 50 at most"
    )


class AllowedToken(BaseModel):
    """Which token a gateway may come with."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(pattern=NAME_PATTERN, description="its name", examples=["ward-3"])


class GatewayList(BaseModel):
    """All gateways, by name."""

    gateways: list[KnownGateway]


@router.post(
    "/gateways/{name:name}/heartbeat",
    response_model=HeartbeatAnswer,
    responses=problems(HTTPStatus.CONFLICT),
    dependencies=[requires(Scope.REGISTER)],
)
async def take_heartbeat(
    name: GatewayName, heartbeat: Heartbeat, request: Request, clock: Clock
) -> Response:
    """Take a gateway's heartbeat; the answer has the dead letters that it shall retry.

    A name that comes with one token is refused (409) with another, while the first is valid, until
    an administrator allows it. Of too many gateways, the token with the most loses one.
    """
    grant: Grant | None = request.state.grant
    token = grant.name if grant else None
    # An administrator takes a name over.
    valid = _tokens(request) if grant and not grant.allows(Scope.ADMIN) else ()
    try:
        retries = await _store(request).beat(name, heartbeat, clock(), token, valid)
    except GatewayNameTaken:
        detail = "a gateway of this name comes with another token; if this is the same gateway, "
        detail += "revoke that token, or allow this one: seriesgate token allow"
        raise ProblemError(HTTPStatus.CONFLICT, detail) from None
    return json_answer(HeartbeatAnswer(RetryDeadLetters=retries))


@router.put(
    "/gateways/{name:name}/token",
    response_model=KnownGateway,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.ADMIN)],
)
async def allow_token(
    name: GatewayName, allowed: AllowedToken, request: Request, clock: Clock
) -> Response:
    """Let a gateway's name come with this token, and no other."""
    if allowed.token not in _tokens(request):
        unknown = FieldError(field="token", message="Is not the name of a valid token")
        detail = "there is no such token"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, [unknown])
    if not await _store(request).allow(name, allowed.token):
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no gateway of this name")
    return json_answer(await _known(name, request, clock))


@router.post(
    "/gateways/{name:name}/dead-letters/{delivery_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    response_model=KnownGateway,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.ADMIN)],
)
async def retry_dead_letter(
    name: GatewayName, delivery_id: LetterID, request: Request, clock: Clock
) -> Response:
    """Have a dead letter retried. The gateway is told in the answer to its next heartbeat."""
    if not await _store(request).ask_retry(name, delivery_id):
        raise ProblemError(HTTPStatus.NOT_FOUND, "no gateway has told of such a dead letter")
    return json_answer(await _known(name, request, clock), HTTPStatus.ACCEPTED)


@router.get("/gateways", response_model=GatewayList, dependencies=[requires(Scope.READ)])
async def list_gateways(request: Request, clock: Clock) -> Response:
    """List the gateways and how each stands."""
    records, now = await _store(request).records(), clock()
    return json_answer(
        GatewayList(gateways=[_gateway(record, record.is_quiet(now)) for record in records])
    )


@router.get(
    "/gateways/{name:name}",
    response_model=KnownGateway,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.READ)],
)
async def read_gateway(name: GatewayName, request: Request, clock: Clock) -> Response:
    """Give one gateway."""
    return json_answer(await _known(name, request, clock))


@router.delete(
    "/gateways/{name:name}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.NOT_FOUND),
    dependencies=[requires(Scope.ADMIN)],
)
async def forget_gateway(name: GatewayName, request: Request) -> Response:
    """Forget a gateway. Its series stay; with its next heartbeat it is there again."""
    if not await _store(request).forget(name):
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no gateway of this name")
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _known(name: str, request: Request, clock: Clock) -> KnownGateway:
    record = await _store(request).find(name)
    if record is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no gateway of this name")
    return _gateway(record, record.is_quiet(clock()))


def _gateway(record: GatewayRecord, is_quiet: bool) -> KnownGateway:
    heartbeat = record.heartbeat
    letters = [
        KnownDeadLetter(**letter.model_dump(), RetryAsked=letter.DeliveryID in record.retries)
        for letter in heartbeat.DeadLetterList
    ]
    return KnownGateway(
        **heartbeat.model_dump(exclude={"DeadLetterList"}),
        Name=record.name,
        LastSeenAt=record.last_seen_at,
        IsQuiet=is_quiet,
        Token=record.token,
        LateArrivalRate=record.late_arrival_ratio,
        DeadLetterList=letters,
    )


def _tokens(request: Request) -> frozenset[str]:
    authentication: Authentication = request.app.state.authentication
    return authentication.names


def _store(request: Request) -> GatewayStore:
    store: GatewayStore = request.app.state.gateways
    return store
