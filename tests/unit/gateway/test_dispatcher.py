from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.examples import AT, collected, report
from tests.fakes import FakeClock, ScriptedPublisher, inline, settle
from tests.memory_journal import MemoryJournal

from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.dispatcher import SeriesDispatcher
from seriesgate.gateway.ports import JournalFailed, JournalFull
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.delivery import (
    Delivery,
    DeliveryState,
    FailureKind,
    PublishFailure,
    RetryPolicy,
    delivery_id_of,
)
from seriesgate.series.revision import next_revision

DOWN = PublishFailure(FailureKind.TRANSIENT, "nothing listens at the server's address")
REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422")
FORBIDDEN = PublishFailure(FailureKind.MISCONFIGURED, "the server answered 401")


class Bench:
    def __init__(self, *outcomes: PublishFailure | None, concurrency: int = 16) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.delivered = 0
        self.totals = GatewayTotals()
        self.publisher = ScriptedPublisher(*outcomes)
        self.dispatcher = SeriesDispatcher(
            self.journal,
            self.publisher,
            RetryPolicy(first_delay=1.0, max_delay=60.0),
            self.clock,
            inline,
            jitter=lambda: 0.0,
            delivered=self.count_delivered,
            totals=self.totals,
            bulkheads=Bulkheads(self.clock),
            concurrency=concurrency,
        )

    def count_delivered(self, _series_instance_uid: str) -> None:
        self.delivered += 1

    def record(self, series: str = "1.2", revision: int = 1) -> Delivery:
        made = next_revision(None, collected("1.1", series=series), AT)
        assert made is not None
        sent = report(series, revision=revision)
        delivery = Delivery(delivery_id_of(sent), sent)
        self.journal.record([(made, delivery)])
        return delivery

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.dispatcher.run())
        await settle()
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def published(self) -> list[tuple[str, int]]:
        return [(d.report.SeriesInstanceUID, d.attempt) for d in self.publisher.published]

    def count(self, state: DeliveryState) -> int:
        return self.journal.tally().deliveries[state]


def test_delivered_series_is_settled_and_its_files_can_go():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
            assert bench.published() == [("1.2", 1)]
            assert bench.count(DeliveryState.DELIVERED) == 1
            assert bench.delivered == 1

    asyncio.run(scenario())


def test_what_the_journal_owes_is_resumed_at_start():
    async def scenario():
        bench = Bench()
        bench.record("1.2")
        bench.record("1.4")
        async with bench.running():
            assert bench.published() == [("1.2", 1), ("1.4", 1)]

    asyncio.run(scenario())


@pytest.mark.fault("F8")
def test_failing_server_is_tried_again_later_each_time_and_files_stay():
    async def scenario():
        bench = Bench(DOWN, DOWN, DOWN)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
            for seconds, attempts in [(0.9, 1), (0.2, 2), (1.8, 2), (0.2, 3), (3.8, 3), (0.3, 4)]:
                await bench.clock.advance(seconds)
                assert len(bench.published()) == attempts
                assert bench.delivered == (attempts == 4)
            assert [attempt for _, attempt in bench.published()] == [1, 2, 3, 4]
            assert len({d.delivery_id for d in bench.publisher.published}) == 1
            assert bench.count(DeliveryState.DELIVERED) == 1

    asyncio.run(scenario())


@pytest.mark.fault("F10", "F11")
def test_rejected_report_is_a_dead_letter_with_its_files():
    async def scenario():
        bench = Bench(REFUSED)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await bench.clock.advance(1000)
            assert len(bench.published()) == 1
            assert bench.count(DeliveryState.DEAD) == 1
            assert bench.delivered == 0
            assert bench.totals.attempts_failed == {FailureKind.REJECTED: 1}

    asyncio.run(scenario())


@pytest.mark.fault("F12")
def test_misconfiguration_is_retried_slowly_and_never_given_up():
    async def scenario():
        bench = Bench(*[FORBIDDEN] * 20)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await bench.clock.advance(29)
            assert len(bench.published()) == 1
            await bench.clock.advance(3600)
            assert bench.count(DeliveryState.DELIVERED) == 1

    asyncio.run(scenario())


def test_concurrency_is_bounded():
    async def scenario():
        bench = Bench(concurrency=3)
        bench.publisher.gate = asyncio.Event()
        async with bench.running():
            for number in range(10):
                bench.dispatcher.deliver(bench.record(f"1.{number}"))
            await settle()
            assert bench.publisher.in_flight == 3
            bench.publisher.gate.set()
            await settle()
            await settle()
            assert len(bench.published()) == 10
            assert bench.publisher.most_in_flight == 3

    asyncio.run(scenario())


@pytest.mark.fault("F14")
def test_failing_series_holds_up_no_other():
    async def scenario():
        bench = Bench(DOWN, concurrency=1)
        async with bench.running():
            bench.dispatcher.deliver(bench.record("1.2"))
            bench.dispatcher.deliver(bench.record("1.4"))
            await settle()
            assert bench.published() == [("1.2", 1), ("1.4", 1)]
            await bench.clock.advance(1.1)
            assert bench.published()[-1] == ("1.2", 2)

    asyncio.run(scenario())


def test_cancelled_attempt_is_still_owed():
    async def scenario():
        bench = Bench()
        bench.publisher.gate = asyncio.Event()
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
        (owed,) = bench.journal.undelivered()
        assert bench.journal.load(owed.delivery_id).attempt == 1


def test_full_journal_is_waited_for_and_nothing_is_sent_twice():
    async def scenario():
        bench = Bench()
        async with bench.running():
            delivery = bench.record()
            bench.journal.failure = JournalFull("no room")
            bench.dispatcher.deliver(delivery)
            await bench.clock.advance(60)
            assert bench.delivered == 0
            bench.journal.failure = None
            await bench.clock.advance(60)
            assert bench.delivered == 1
            assert bench.published() == [("1.2", 1)]

    asyncio.run(scenario())


@pytest.mark.fault("F6")
def test_failed_journal_stops_delivering():
    async def scenario():
        bench = Bench()
        delivery = bench.record()
        bench.journal.failure = JournalFailed("disk I/O error")
        with pytest.raises(ExceptionGroup) as failures:
            await bench.dispatcher.run()
        assert failures.value.subgroup(JournalFailed)
        assert bench.journal.load(delivery.delivery_id).attempt == 1

    asyncio.run(scenario())


def test_many_deliveries_are_read_from_the_journal_when_they_are_due(monkeypatch):
    monkeypatch.setattr("seriesgate.gateway.dispatcher._MAX_FRESH", 2)

    async def scenario():
        bench = Bench(concurrency=1)
        async with bench.running():
            deliveries = [bench.record(f"1.{number}") for number in range(5)]
            for delivery in deliveries:
                bench.dispatcher.deliver(delivery)
            await settle()
            assert [d.delivery_id for d in bench.publisher.published] == [
                d.delivery_id for d in deliveries
            ]

    asyncio.run(scenario())


def test_restart_leaves_dead_letters_dead():
    async def scenario():
        bench = Bench(REFUSED)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
            assert bench.count(DeliveryState.DEAD) == 1
        async with bench.running():
            await bench.clock.advance(1000)
            assert bench.published() == [("1.2", 1)]
            assert bench.count(DeliveryState.DEAD) == 1

    asyncio.run(scenario())


def test_revived_dead_letter_is_sent_again():
    async def scenario():
        bench = Bench(REFUSED)
        async with bench.running():
            delivery = bench.record()
            bench.dispatcher.deliver(delivery)
            await settle()
            assert bench.count(DeliveryState.DEAD) == 1
            bench.dispatcher.resume(bench.journal.revive(delivery.delivery_id))
            await settle()
            assert bench.published() == [("1.2", 1), ("1.2", 2)]
            assert bench.count(DeliveryState.DELIVERED) == 1

    asyncio.run(scenario())

    asyncio.run(scenario())
