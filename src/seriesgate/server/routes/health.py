"""`/healthz` and `/readyz`, for whoever restarts or balances servers."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from seriesgate.server.http.problem import ProblemError
from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.routes.access import PUBLIC, REQUIRES_ANY_TOKEN
from seriesgate.server.routes.openapi import operation_id
from seriesgate.server.routes.store import Store

if TYPE_CHECKING:
    from seriesgate.server.bulkheads import Bulkheads

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)

_PATIENCE = 2.0  # seconds; whoever asks has given up after that


class Health(BaseModel):
    """The server is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", dependencies=[PUBLIC])
async def alive() -> Health:
    """Say that the process answers. Restart it when it does not."""
    return Health()


@router.get("/readyz", dependencies=[REQUIRES_ANY_TOKEN])
async def ready(request: Request, store: Store) -> Health:
    """Say whether all of the server runs, and the database can take a report now.

    Send no reports while it can't.
    """
    bulkheads: Bulkheads = request.app.state.bulkheads
    if ended := bulkheads.all_ended():
        detail = "; ".join(f"{task} has ended: {reason}" for task, reason in ended.items())
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"{detail}; restart the server")
    try:
        async with asyncio.timeout(_PATIENCE):
            await store.check()
    except TimeoutError:
        raise StoreUnavailable("the database does not answer") from None
    return Health()
