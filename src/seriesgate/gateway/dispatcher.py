"""The use case of delivering: reports that are owed reach the server, each at least once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from seriesgate.gateway.outcome_writer import OutcomeWriter
from seriesgate.gateway.ports import Outcome, Owed
from seriesgate.gateway.schedule import DeliverySchedule
from seriesgate.series.delivery import FailureKind, GiveUp, RetryIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.ports import Clock, Journal, Offload, SeriesPublisher
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.delivery import Delivery, PublishFailure, RetryPolicy

_log = logging.getLogger(__name__)

# How many new deliveries wait in memory; the others are read from the journal when they are due.
_MAX_FRESH = 1000


class SeriesDispatcher:
    """Sends what is owed, up to `concurrency` reports at a time, and settles each outcome.

    `jitter` returns a fresh number in [0, 1) for each retry; `delivered` is called with
    the series of each delivery that the journal knows to be done.
    """

    def __init__(
        self,
        journal: Journal,
        publisher: SeriesPublisher,
        retry_policy: RetryPolicy,
        clock: Clock,
        journal_thread: Offload,
        jitter: Callable[[], float],
        delivered: Callable[[str], None],
        totals: GatewayTotals,
        bulkheads: Bulkheads,
        concurrency: int = 16,
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._retry_policy = retry_policy
        self._clock = clock
        self._journal_thread = journal_thread
        self._jitter = jitter
        self._delivered = delivered
        self._totals = totals
        self._bulkheads = bulkheads
        self._concurrency = concurrency
        self._in_flight: set[str] = set()
        self._outcomes = OutcomeWriter(journal, clock, journal_thread)
        self._schedule = DeliverySchedule()
        self._fresh: dict[str, Delivery] = {}
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> frozenset[str]:
        """The ids of the deliveries that are being tried now."""
        return frozenset(self._in_flight)

    def due_times(self) -> dict[str, float]:
        """Return when those that wait are tried next, in monotonic seconds, by their ids."""
        return self._schedule.due_times()

    def deliver(self, delivery: Delivery) -> None:
        """Take over a new delivery that the journal already holds. For the event loop."""
        if len(self._fresh) < _MAX_FRESH:
            self._fresh[delivery.delivery_id] = delivery
        self.resume(Owed(delivery.delivery_id, delivery.report.SeriesInstanceUID))

    def resume(self, owed: Owed) -> None:
        """Take over a delivery that is owed from before. For the event loop."""
        self._schedule.add(owed, self._clock.monotonic())
        self._changed.set()

    async def run(self) -> None:
        """Resume what the journal owes, then deliver for ever.

        Stops by cancellation, or when the journal fails. A cancelled attempt is not settled: its
        delivery is still owed and is resumed at the next start, with the same idempotency key.
        """
        for owed in await self._journal_thread(self._journal.undelivered):
            self.resume(owed)
        async with asyncio.TaskGroup() as attempts:
            attempts.create_task(self._outcomes.run())
            while True:
                self._changed.clear()
                self._start_due(attempts)
                until = self._schedule.next_due() if self._has_free_slot() else None
                await self._clock.wait(self._changed, until)

    def _has_free_slot(self) -> bool:
        return len(self._in_flight) < self._concurrency

    def _start_due(self, attempts: asyncio.TaskGroup) -> None:
        now = self._clock.monotonic()
        while self._has_free_slot() and (owed := self._schedule.take_due(now)) is not None:
            self._in_flight.add(owed.delivery_id)
            attempts.create_task(self._attempt_contained(owed))

    async def _attempt_contained(self, owed: Owed) -> None:
        """Make an attempt; what goes wrong unexpectedly keeps back the rest of its series alone."""

        def again() -> None:
            self._schedule.put_back(owed, self._clock.monotonic())
            self._changed.set()

        with self._bulkheads.unit("delivery", owed.delivery_id, again):
            await self._attempt(owed)
        self._in_flight.discard(owed.delivery_id)
        self._changed.set()

    async def _attempt(self, owed: Owed) -> None:
        delivery = self._fresh.pop(owed.delivery_id, None)
        if delivery is None:
            delivery = await self._journal_thread(self._journal.load, owed.delivery_id)
        began = self._clock.monotonic()
        failure = await self._publisher.publish(delivery)
        self._totals.attempt_seconds.observe(self._clock.monotonic() - began)
        if failure is None:
            await self._finish(owed, delivery)
        else:
            await self._fail(owed, delivery, failure)

    async def _finish(self, owed: Owed, delivery: Delivery) -> None:
        await self._outcomes.write(Outcome(delivery))
        self._schedule.remove(owed, self._clock.monotonic())
        self._totals.attempts_delivered += 1
        if delivery.report.ClosedAt is not None:
            taken = self._clock.utcnow() - delivery.report.ClosedAt
            self._totals.delivery_seconds.observe(taken.total_seconds())
        _log.info(
            "series delivered (%s): %d instances, revision %d, attempt %d",
            delivery.short_id,
            delivery.report.InstancesInSeries,
            delivery.report.Revision,
            delivery.attempt,
        )
        # Files are let go only now that the journal knows: it may deliver twice, and lose nothing.
        with self._bulkheads.unit("what follows a delivery", owed.delivery_id):
            self._delivered(owed.series_instance_uid)

    async def _fail(self, owed: Owed, delivery: Delivery, failure: PublishFailure) -> None:
        self._totals.attempts_failed[failure.kind] += 1
        decision = self._retry_policy.after_failure(delivery.attempt, failure, self._jitter())
        await self._outcomes.write(
            Outcome(delivery, failure, is_final=isinstance(decision, GiveUp))
        )
        match decision:
            case RetryIn(delay):
                self._schedule.retry(owed, self._clock.monotonic() + delay)
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
                self._schedule.remove(owed, self._clock.monotonic())
                _log.error(
                    "delivery %s is a dead letter, its files are kept until "
                    "`seriesgate outbox retry %s` has it delivered: %s",
                    delivery.short_id,
                    delivery.short_id,
                    failure.reason,
                )
