"""Webhooks: URLs of an administrator that get each change of a series.

Each has its own attempts, its own connections and its own place in the queue: one that is slow or
dead holds up no other. Several servers share the work, and each change goes out from one of them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from sqlalchemy.exc import IntegrityError

from seriesgate.series.delivery import FailureKind, GiveUp, PublishFailure, RetryIn
from seriesgate.series.http_answer import failure_of
from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.changes.webhook_message import message_of, signed_headers
from seriesgate.server.registry.store import StoreUnavailable, UnreadableChange

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from seriesgate.series.delivery import RetryPolicy
    from seriesgate.server.changes.feed import ChangeFeed
    from seriesgate.server.changes.webhook_message import WebhookMessage
    from seriesgate.server.changes.webhook_queue import Claim, WebhookQueue

TOTAL_TIMEOUT = 15.0
"""How long one attempt may take in all, in seconds."""
_MAX_ANSWER = 64 * 1024
_CONCURRENCY = 8
_POLL = 0.5
_EXPECTED = (StoreUnavailable, IntegrityError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where a webhook goes. `key` signs what it gets."""

    name: str
    url: str
    key: bytes

    @property
    def receiver(self) -> str:
        """The URL as people may see it: its path and query can hold a secret."""
        url = httpx.URL(self.url)
        return str(url.copy_with(raw_path=b"/", userinfo=b"")).rstrip("/")


class WebhookSender:
    """Sends messages to one target. What comes back is not trusted, nor followed anywhere."""

    def __init__(
        self,
        target: WebhookTarget,
        utcnow: Callable[[], datetime],
        *,
        total_timeout: float = TOTAL_TIMEOUT,
    ) -> None:
        self.target = target
        self._utcnow = utcnow
        self._total_timeout = total_timeout
        self._client = httpx.AsyncClient(
            headers={
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "seriesgate",
            },
            timeout=httpx.Timeout(total_timeout, connect=5.0),
            limits=httpx.Limits(max_connections=_CONCURRENCY, keepalive_expiry=30.0),
            follow_redirects=False,
            # A proxy or a .netrc of the environment must not decide where patient data goes.
            trust_env=False,
        )

    async def send(self, message: WebhookMessage) -> PublishFailure | None:
        """Send once; None means that the receiver has it."""
        try:
            async with asyncio.timeout(self._total_timeout):
                return await self._post(message)
        except TimeoutError:
            reason = f"no answer within {self._total_timeout:g} s"
        except httpx.HTTPError as error:
            # The texts of httpx name no data that is sent, but an address and its path.
            reason = f"{self.target.receiver} can't be reached ({type(error).__name__})"
        return PublishFailure(FailureKind.TRANSIENT, reason)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, message: WebhookMessage) -> PublishFailure | None:
        now = self._utcnow()
        headers = signed_headers(message, self.target.key, now)
        async with self._client.stream(
            "POST", self.target.url, content=message.body, headers=headers
        ) as response:
            left = _MAX_ANSWER
            async for piece in response.aiter_raw():
                left -= len(piece)
                if left < 0:
                    break  # the status says all; the connection is not used again
            return failure_of(response.status_code, response.headers.get("Retry-After", ""), now)


class WebhookDispatcher:
    """Delivers what is owed to one webhook, up to eight changes of different series at a time."""

    def __init__(
        self,
        sender: WebhookSender,
        queue: WebhookQueue,
        retry_policy: RetryPolicy,
        utcnow: Callable[[], datetime],
        jitter: Callable[[], float],
        bulkheads: Bulkheads | None = None,
    ) -> None:
        self.sender = sender
        self.queue = queue
        self._retry_policy = retry_policy
        self._utcnow = utcnow
        self._jitter = jitter
        self._settled = asyncio.Event()
        #: The name among the server's tasks.
        self.task = f"webhook {sender.target.name}"
        self._bulkhead = (bulkheads or Bulkheads()).task(self.task)

    async def begin(self) -> None:
        """Make sure that the queue has a place for the webhook: it gets all changes from now on."""
        await self._claim(0)

    async def run(self, feed: ChangeFeed) -> None:
        """Deliver until the feed closes; then finish what is under way.

        What is cut short by a cancellation is delivered again, by any server.
        """
        with feed.following():
            await self._deliver(feed)

    async def _deliver(self, feed: ChangeFeed) -> None:
        async with asyncio.TaskGroup() as attempts:
            running: set[asyncio.Task[None]] = set()
            while not feed.closing.is_set():
                self._settled.clear()
                if free := _CONCURRENCY - len(running):
                    for claim in await self._claim(free):
                        task = attempts.create_task(self._attempt(claim))
                        running.add(task)
                        task.add_done_callback(running.discard)
                await self._wait(feed)

    def wake(self) -> None:
        """Look into the queue now."""
        self._settled.set()

    async def _claim(self, limit: int) -> list[Claim]:
        name = self.sender.target.name
        # The store says so in the log; or another server was the first to begin.
        with suppress(*_EXPECTED), self._bulkhead.unit("look at what is owed", expected=_EXPECTED):
            return await self.queue.claim(name, self._utcnow(), limit=limit)
        return []

    async def _wait(self, feed: ChangeFeed) -> None:
        tasks = [
            asyncio.ensure_future(self._settled.wait()),
            asyncio.ensure_future(feed.wait(_POLL)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _attempt(self, claim: Claim) -> None:
        # Without the store its claim ends by itself, and it is delivered again.
        with suppress(StoreUnavailable), self._bulkhead.unit("putting aside of changes"):
            with self._bulkhead.unit_put_aside() as unit:
                await self._deliver_one(claim)
            if unit.failure:
                await self._bury(claim, f"internal error: {unit.failure}")
        self._settled.set()

    async def _deliver_one(self, claim: Claim) -> None:
        if isinstance(claim.change, UnreadableChange):
            self._bulkhead.count()
            await self._bury(claim, f"internal error: {claim.change.reason}")
            return
        failure = await self.sender.send(message_of(claim.change))
        if failure is None:
            await self.queue.finish(claim)
        else:
            await self._settle_failure(claim, failure)

    async def _bury(self, claim: Claim, reason: str) -> None:
        await self.queue.bury(claim, reason)
        _log.error(
            "webhook %s, change %d is a dead letter; `seriesgate webhooks retry %s` tries "
            "it again: %s",
            *(claim.webhook, claim.change.sequence, claim.webhook, reason),
        )

    async def _settle_failure(self, claim: Claim, failure: PublishFailure) -> None:
        match self._retry_policy.after_failure(claim.attempt, failure, self._jitter()):
            case RetryIn(delay):
                due_at = self._utcnow() + timedelta(seconds=delay)
                await self.queue.reschedule(claim, due_at, failure.reason)
                _log.warning(
                    "webhook %s, change %d failed, attempt %d, next in %.1f s: %s",
                    *(claim.webhook, claim.change.sequence, claim.attempt, delay, failure.reason),
                )
            case GiveUp():
                await self._bury(claim, failure.reason)
