"""`/session`: how a browser logs in with a token, asks who it is, and logs out."""

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from seriesgate.server.access.sessions import LIFETIME, new_session, session_digest
from seriesgate.server.access.tokens import Scope, scopes_as_text
from seriesgate.server.routes.access import (
    REQUIRES_ANY_TOKEN,
    REQUIRES_TOKEN_ITSELF,
    session_cookie,
)
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.openapi import operation_id
from seriesgate.server.routes.store import Clock

if TYPE_CHECKING:
    from seriesgate.server.access.sessions import SessionStore
    from seriesgate.server.access.tokens import Grant

router = APIRouter(tags=["session"], generate_unique_id_function=operation_id)


class CurrentSession(BaseModel):
    """Who asks, and what it may do."""

    name: str | None = Field(description="name of the token; null where none is needed")
    scopes: list[Scope]
    expires_at: datetime | None = Field(
        default=None, description="when a session that was begun just now ends"
    )


@router.post(
    "/session",
    status_code=HTTPStatus.CREATED,
    response_model=CurrentSession,
    dependencies=[REQUIRES_TOKEN_ITSELF],
)
async def begin_session(request: Request, clock: Clock) -> Response:
    """Log in: show the token, and get a cookie that is as good for twelve hours.

    The cookie ends when its token is revoked. A request by cookie that changes something needs the
    header `X-Requested-With`, with any value. Where no token is needed there is no cookie.
    """
    grant: Grant | None = request.state.grant
    if grant is None:
        return json_answer(_current(None), HTTPStatus.CREATED)
    now = clock()
    secret, session = new_session(grant, now)
    await _store(request).begin(session, now)
    current = _current(grant).model_copy(update={"expires_at": session.expires_at})
    answer = json_answer(current, HTTPStatus.CREATED)
    answer.set_cookie(
        session_cookie(request),
        secret,
        max_age=int(LIFETIME.total_seconds()),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.get("/session", response_model=CurrentSession, dependencies=[REQUIRES_ANY_TOKEN])
async def read_session(request: Request) -> Response:
    """Say who asks, and what it may do."""
    return json_answer(_current(request.state.grant))


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT, dependencies=[REQUIRES_ANY_TOKEN])
async def end_session(request: Request) -> Response:
    """Log out: the session of the request's cookie is over, here and wherever it was copied to."""
    name = session_cookie(request)
    secret = request.cookies.get(name)
    if secret is not None:
        await _store(request).end(session_digest(secret))
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    answer.delete_cookie(
        name, secure=request.url.scheme == "https", httponly=True, samesite="strict"
    )
    return answer


def _current(grant: "Grant | None") -> CurrentSession:
    if grant is None:
        return CurrentSession(name=None, scopes=list(Scope))
    return CurrentSession(name=grant.name, scopes=[Scope(n) for n in scopes_as_text(grant.scopes)])


def _store(request: Request) -> "SessionStore":
    store: SessionStore = request.app.state.sessions
    return store
