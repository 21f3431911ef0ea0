"""Server-sent events (the WHATWG's HTML standard, 9.2): the changes of series as they come."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.responses import Response

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.registry.store import StoreUnavailable, UnreadableChange, kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from seriesgate.server.bulkheads import TaskBulkhead
    from seriesgate.server.changes.feed import ChangeFeed
    from seriesgate.server.registry.store import AnyChange, FoundChange

HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows proxies and readers that the stream lives."""
_RECONNECT_MS = 2000
_COMMENT = ":\n\n"
#: The name of the streams among the server's tasks.
TASK = "event streams"

_log = logging.getLogger(__name__)


async def _always() -> bool:
    return True


async def events(
    feed: ChangeFeed,
    position: int,
    *,
    forgotten: int = 0,
    bulkhead: TaskBulkhead | None = None,
    allowed: Callable[[], Awaitable[bool]] = _always,
    heartbeat: float = HEARTBEAT,
) -> AsyncGenerator[str, None]:
    """Give the stream's text from the change after `position` on, until the feed closes.

    It ends as well when its reader is no longer `allowed`, which is asked before each batch. A
    reader that was away until changes up to `forgotten` were deleted is told so by an event, and so
    is one of a change that can't be told, which `bulkhead` counts then. Holds no more than one
    batch of changes: what a reader has not taken stays in the database.
    """
    yield f"retry: {_RECONNECT_MS}\n\n"
    if position < forgotten:
        yield _gap(position + 1, forgotten)
        position = forgotten
    bulkhead = bulkhead or Bulkheads().task(TASK)
    with feed.following():
        while not feed.closing.is_set():
            try:
                # Waiting begins before reading: what comes in between must not go unnoticed.
                news = asyncio.ensure_future(feed.wait(heartbeat))
                try:
                    changes = await feed.after(position)
                    if not await allowed():
                        return
                    if changes:
                        yield "".join(_told(change, bulkhead) for change in changes)
                        position = changes[-1].sequence
                    elif not await news:
                        yield _COMMENT
                finally:
                    news.cancel()
            except StoreUnavailable:
                return  # the reader comes back, then or later


def _told(change: FoundChange, bulkhead: TaskBulkhead) -> str:
    if isinstance(change, UnreadableChange):
        bulkhead.count()
        reason = change.reason
    else:
        with bulkhead.unit_put_aside() as unit:
            return _event(change)
        reason = unit.failure
    _log.error("change %d can't be told to a reader of events: %s", change.sequence, reason)
    return _gap(change.sequence, change.sequence)


def _gap(first: int, last: int) -> str:
    return f'id: {last}\nevent: forgotten\ndata: {{"From":{first},"To":{last}}}\n\n'


def _event(change: AnyChange) -> str:
    # JSON has no line break of its own.
    data = change.series.model_dump_json()
    return f"id: {change.sequence}\nevent: {kind_of(change)}\ndata: {data}\n\n"


class EventStreamResponse(Response):
    """Sends a stream until it ends or the reader goes; then `finished` is called.

    What unexpected goes wrong ends it as well, contained by `bulkhead`: the reader comes back.
    A reader that takes nothing is cut off by its connection (see `http.connection`).
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        pieces: AsyncGenerator[str, None],
        finished: Callable[[], None],
        bulkhead: TaskBulkhead,
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})  # nginx would hold events back
        del self.headers["content-length"]
        self._pieces = pieces
        self._finished = finished
        self._bulkhead = bulkhead

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait([writing, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            writing.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
            self._finished()

    async def _write(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        with self._bulkhead.unit(expected=(OSError,)):
            # It stops following at once when its reader goes.
            async with aclosing(self._pieces):
                async for piece in self._pieces:
                    body = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
                    await send(body)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
