"""How a route gets the store of its app."""

from typing import Annotated

from fastapi import Depends, Request

from seriesgate.server.store import SeriesStore


async def store_of(request: Request) -> SeriesStore:
    """Give the store that `create_app` was given."""
    store: SeriesStore = request.app.state.store
    return store


Store = Annotated[SeriesStore, Depends(store_of)]
