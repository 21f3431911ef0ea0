"""The use case of delivering: reports that are owed reach the server, each at least once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from seriesgate.gateway.schedule import DeliverySchedule
from seriesgate.series.delivery import FailureKind, GiveUp, RetryIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.ports import Clock, InstanceSpool, Journal, Offload, SeriesPublisher
    from seriesgate.series.delivery import Delivery, PublishFailure, RetryPolicy

_log = logging.getLogger(__name__)


class SeriesDispatcher:
    """Sends what is owed, up to `concurrency` reports at a time, and settles each outcome.

    `jitter` returns a fresh number in [0, 1) for each retry.
    """

    def __init__(
        self,
        journal: Journal,
        spool: InstanceSpool,
        publisher: SeriesPublisher,
        retry_policy: RetryPolicy,
        clock: Clock,
        offload: Offload,
        jitter: Callable[[], float],
        concurrency: int = 16,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._publisher = publisher
        self._retry_policy = retry_policy
        self._clock = clock
        self._offload = offload
        self._jitter = jitter
        self._free_slots = concurrency
        self._schedule = DeliverySchedule()
        self._changed = asyncio.Event()

    def deliver(self, delivery: Delivery) -> None:
        """Take over a delivery that the journal already holds. To be called on the event loop."""
        self._schedule.add(delivery, self._clock.monotonic())
        self._changed.set()

    async def run(self) -> None:
        """Resume what the journal owes, then deliver for ever. Stops by cancellation.

        A cancelled attempt is not settled: its delivery is still owed and is resumed at the next
        start, with the same idempotency key.
        """
        for delivery in await self._offload(self._journal.undelivered):
            self.deliver(delivery)
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._changed.clear()
                self._start_due(attempts)
                until = self._schedule.next_due() if self._free_slots else None
                await self._clock.wait(self._changed, until)

    def _start_due(self, attempts: asyncio.TaskGroup) -> None:
        now = self._clock.monotonic()
        while self._free_slots and (delivery_id := self._schedule.take_due(now)) is not None:
            self._free_slots -= 1
            attempts.create_task(self._attempt(delivery_id))

    async def _attempt(self, delivery_id: str) -> None:
        delivery = await self._offload(self._journal.load, delivery_id)
        failure = await self._publisher.publish(delivery)
        if failure is None:
            await self._offload(self._finish, delivery)
            self._schedule.remove(delivery, self._clock.monotonic())
        else:
            await self._settle_failure(delivery, failure)
        self._free_slots += 1
        self._changed.set()

    def _finish(self, delivery: Delivery) -> None:
        covered = self._journal.finish(delivery.delivery_id)
        # Only after the journal knows: files without an owner are delivered once more, never lost.
        self._spool.release(delivery.report.SeriesInstanceUID, covered)
        _log.info(
            "series delivered (%s): %d instances, revision %d, attempt %d",
            delivery.short_id,
            delivery.report.InstancesInSeries,
            delivery.report.Revision,
            delivery.attempt,
        )

    async def _settle_failure(self, delivery: Delivery, failure: PublishFailure) -> None:
        decision = self._retry_policy.after_failure(delivery.attempt, failure, self._jitter())
        match decision:
            case RetryIn(delay):
                await self._offload(self._journal.reschedule, delivery.delivery_id, failure)
                self._schedule.retry(delivery, self._clock.monotonic() + delay)
                level = (
                    logging.ERROR if failure.kind is FailureKind.MISCONFIGURED else logging.WARNING
                )
                _log.log(
                    level,
                    "delivery %s failed, attempt %d, next in %.1f s: %s",
                    delivery.short_id,
                    delivery.attempt,
                    delay,
                    failure.reason,
                )
            case GiveUp():
                await self._offload(self._journal.bury, delivery.delivery_id, failure)
                self._schedule.remove(delivery, self._clock.monotonic())
                _log.error(
                    "delivery %s is a dead letter, its files are kept; "
                    "a restart tries it again: %s",
                    delivery.short_id,
                    failure.reason,
                )
