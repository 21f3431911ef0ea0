"""How a route gets the store and the clock of its app."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from seriesgate.server.registry.store import SeriesStore


async def store_of(request: Request) -> SeriesStore:
    """Give the store that `create_app` was given."""
    store: SeriesStore = request.app.state.store
    return store


Store = Annotated[SeriesStore, Depends(store_of)]


async def clock_of(request: Request) -> Callable[[], datetime]:
    """Give the clock that `create_app` was given."""
    clock: Callable[[], datetime] = request.app.state.clock
    return clock


Clock = Annotated[Callable[[], datetime], Depends(clock_of)]
