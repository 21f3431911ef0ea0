"""`/events`: follow the changes of series as they come."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from seriesgate.server.access.tokens import Scope
from seriesgate.server.changes.event_stream import TASK, EventStreamResponse, events
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.routes.access import is_still_allowed, requires
from seriesgate.server.routes.openapi import operation_id
from seriesgate.server.routes.store import Store

if TYPE_CHECKING:
    from seriesgate.server.bulkheads import Bulkheads
    from seriesgate.server.changes.feed import ChangeFeed

router = APIRouter(tags=["events"], generate_unique_id_function=operation_id)

_MAX_STREAMS = 200
_NUMBER = r"^[0-9]{1,18}$"
_RETRY_AFTER = {"Retry-After": "30"}  # seconds
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`id` is the number of a change, `event` is `created` or `updated`, `data` "
        "the row of the series after it, as JSON; or `event` is `deleted`, and `data` has its "
        "SeriesInstanceUID, `DeletedAt` and `Reason`; or `event` is `forgotten`",
        "content": {"text/event-stream": {"schema": {"type": "object"}}},
    }
}


class Streams:
    """Counts the streams that are open."""

    def __init__(self) -> None:
        self._open = 0

    def enter(self) -> None:
        """Count one more. Raises ProblemError when there are too many."""
        if self._open >= _MAX_STREAMS:
            detail = "too many readers follow the events"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=_RETRY_AFTER)
        self._open += 1

    def leave(self) -> None:
        """Count one less."""
        self._open -= 1


class EventsQuery(BaseModel):
    """Where a reader starts that has no event yet."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(
        None,
        pattern=_NUMBER,
        description="number of a change to start after; 0 is the first there is. Without it the "
        "stream starts now",
    )


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses=_STREAM,
    dependencies=[requires(Scope.READ)],
)
async def follow_events(
    request: Request,
    query: Annotated[EventsQuery, Query()],
    store: Store,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", pattern=_NUMBER, description="`id` of the latest event read"),
    ] = None,
) -> Response:
    """Follow the series: an event for each that is new or has changed, in order, none left out.

    Come back with `Last-Event-ID`, as browsers do by themselves, to read on where the stream broke
    off, at any server on the same database. Who comes back after so long that changes were
    deleted gets an event `forgotten` first: `From` and `To` are the numbers that are missing.
    """
    latest = await store.latest_change()
    wanted = last_event_id if last_event_id is not None else query.after
    # A number that is not there yet is from before the database was restored.
    position = latest if wanted is None else min(int(wanted), latest)
    forgotten = await store.forgotten_changes()
    streams: Streams = request.app.state.streams
    feed: ChangeFeed = request.app.state.feed

    async def allowed() -> bool:
        return await is_still_allowed(request, Scope.READ)

    bulkheads: Bulkheads = request.app.state.bulkheads
    bulkhead = bulkheads.task(TASK)
    streams.enter()
    pieces = events(feed, position, forgotten=forgotten, bulkhead=bulkhead, allowed=allowed)
    return EventStreamResponse(pieces, streams.leave, bulkhead)
