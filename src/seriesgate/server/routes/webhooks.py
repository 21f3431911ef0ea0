"""`/webhooks`: how the webhooks of the settings stand; try them, and retry what was refused."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from seriesgate.server.access.tokens import Scope
from seriesgate.server.changes.webhook_message import message_of_a_test
from seriesgate.server.changes.webhooks import WebhookDispatcher
from seriesgate.server.http.problem import ProblemError
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.openapi import operation_id, problems
from seriesgate.server.routes.store import Clock

router = APIRouter(
    tags=["webhooks"],
    generate_unique_id_function=operation_id,
    dependencies=[requires(Scope.ADMIN)],
)

_DEAD_LETTERS = 1000


class WebhookState(BaseModel):
    """A webhook of the settings. Its secret, and the path of its URL, are not shown."""

    name: str
    receiver: str = Field(examples=["https://ris.example.org"])
    pending: int = Field(description="changes that it has not got yet")
    dead: int = Field(description="changes that its receiver has refused")
    latest_failure: str | None


class WebhookList(BaseModel):
    """All webhooks of the settings."""

    webhooks: list[WebhookState]


class WebhookTest(BaseModel):
    """What became of a test message."""

    delivered: bool
    reason: str | None = Field(description="why it was not delivered")


class WebhookRetry(BaseModel):
    """How many changes are due again."""

    retried: int


class DeadLetterEntry(BaseModel):
    """A change that the receiver has refused."""

    sequence: int = Field(description="number of the change, as in `GET /events`")
    SeriesInstanceUID: str
    attempts: int
    reason: str


class DeadLetterList(BaseModel):
    """The oldest dead letters of a webhook."""

    dead_letters: list[DeadLetterEntry]


_Name = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
_NOT_FOUND = problems(HTTPStatus.NOT_FOUND)


@router.get("/webhooks")
async def list_webhooks(request: Request) -> WebhookList:
    """List the webhooks, and what is owed to each."""
    states = []
    for name, dispatcher in _dispatchers(request).items():
        state = await dispatcher.queue.state(name)
        states.append(
            WebhookState(
                name=name,
                receiver=dispatcher.sender.target.receiver,
                pending=state.pending,
                dead=state.dead,
                latest_failure=state.latest_failure,
            )
        )
    return WebhookList(webhooks=states)


@router.get("/webhooks/{name}/dead-letters", responses=_NOT_FOUND)
async def list_dead_letters(name: _Name, request: Request) -> DeadLetterList:
    """List the changes that a receiver has refused, the oldest first, at most 1000."""
    letters = await _dispatcher(request, name).queue.dead_letters(name, limit=_DEAD_LETTERS)
    return DeadLetterList(
        dead_letters=[
            DeadLetterEntry(
                sequence=letter.sequence,
                SeriesInstanceUID=letter.series_instance_uid,
                attempts=letter.attempts,
                reason=letter.reason,
            )
            for letter in letters
        ]
    )


@router.post("/webhooks/{name}/test", responses=_NOT_FOUND)
async def test_webhook(name: _Name, request: Request, clock: Clock) -> WebhookTest:
    """Send a message of type `test`, signed like all, and say what became of it."""
    message = message_of_a_test(clock(), secrets.token_hex(8))
    failure = await _dispatcher(request, name).sender.send(message)
    return WebhookTest(delivered=failure is None, reason=failure and failure.reason)


@router.post("/webhooks/{name}/retry", responses=_NOT_FOUND)
async def retry_webhook(name: _Name, request: Request, clock: Clock) -> WebhookRetry:
    """Deliver every dead letter again, and what waits for its next attempt, now."""
    dispatcher = _dispatcher(request, name)
    retried = await dispatcher.queue.retry(name, clock())
    dispatcher.wake()
    return WebhookRetry(retried=retried)


def _dispatchers(request: Request) -> Mapping[str, WebhookDispatcher]:
    dispatchers: Mapping[str, WebhookDispatcher] = request.app.state.webhooks
    return dispatchers


def _dispatcher(request: Request, name: str) -> WebhookDispatcher:
    try:
        return _dispatchers(request)[name]
    except KeyError:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no webhook of this name") from None
