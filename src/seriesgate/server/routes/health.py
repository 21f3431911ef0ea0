"""`/healthz` and `/readyz`, for whoever restarts or balances servers."""

import asyncio
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from seriesgate.server.openapi import operation_id, problems
from seriesgate.server.routes.store import Store
from seriesgate.server.store import StoreUnavailable

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)

_PATIENCE = 2.0  # seconds; whoever asks has given up after that


class Health(BaseModel):
    """The server is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def alive() -> Health:
    """Say that the process answers. Restart it when it does not."""
    return Health()


@router.get("/readyz", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready(store: Store) -> Health:
    """Say whether the database can take a report now. Send no reports while it can't."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await store.check()
    except TimeoutError:
        raise StoreUnavailable("the database does not answer") from None
    return Health()
