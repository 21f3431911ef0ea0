"""`/tokens`: make, list and revoke what others show to be let in."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from seriesgate.server.access.tokens import (
    NAME_PATTERN,
    Grant,
    Scope,
    TokenNameTaken,
    TokenRecord,
    TokenStore,
    new_token,
    scopes_as_text,
    token_digest,
)
from seriesgate.server.http.problem import FieldError, ProblemError
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.openapi import operation_id, problems

router = APIRouter(
    tags=["tokens"],
    generate_unique_id_function=operation_id,
    dependencies=[requires(Scope.ADMIN)],
)


class WantedToken(BaseModel):
    """A token to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME_PATTERN, description="who will use it", examples=["ward-3"])
    scopes: list[Scope] = Field(min_length=1, max_length=10)


class KnownToken(BaseModel):
    """What is known of a token."""

    name: str
    scopes: list[Scope]
    created_at: datetime
    revoked_at: datetime | None = None


class MadeToken(KnownToken):
    """A token that was just made."""

    token: str = Field(description="shown this once: the server does not keep it")


class TokenList(BaseModel):
    """All tokens that there ever were, by name."""

    tokens: list[KnownToken]


@router.post("/tokens", status_code=HTTPStatus.CREATED, responses=problems(HTTPStatus.CONFLICT))
async def create_token(wanted: WantedToken, request: Request) -> MadeToken:
    """Make a token. From the first one on, every request needs one."""
    token = new_token()
    grant = Grant(wanted.name, token_digest(token), frozenset(wanted.scopes))
    try:
        record = await _store(request).add(grant)
    except TokenNameTaken:
        taken = FieldError(field="name", message="Is or was the name of another token")
        raise ProblemError(HTTPStatus.CONFLICT, "the name is taken", [taken]) from None
    request.app.state.authentication.changed()
    return MadeToken(**_known(record), token=token)


@router.get("/tokens")
async def list_tokens(request: Request) -> TokenList:
    """List the tokens that there are and were. The tokens themselves are not known."""
    records = await _store(request).records()
    return TokenList(tokens=[KnownToken(**_known(record)) for record in records])


@router.delete("/tokens/{name}", responses=problems(HTTPStatus.NOT_FOUND))
async def revoke_token(
    name: Annotated[str, Path(pattern=NAME_PATTERN)], request: Request
) -> KnownToken:
    """Revoke a token for good. Other servers on the database notice within five seconds."""
    record = await _store(request).revoke(name)
    if record is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no token of this name")
    request.app.state.authentication.changed()
    return KnownToken(**_known(record))


def _store(request: Request) -> TokenStore:
    store: TokenStore = request.app.state.tokens
    return store


def _known(record: TokenRecord) -> dict[str, object]:
    return {
        "name": record.grant.name,
        "scopes": scopes_as_text(record.grant.scopes),
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
    }
