from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.examples import AT, collected, instance, report
from tests.fakes import FakeClock, MemorySpool, ScriptedPublisher, inline, settle

from seriesgate.adapters.memory_journal import MemoryJournal
from seriesgate.gateway.dispatcher import SeriesDispatcher
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
        self.spool = MemorySpool()
        self.publisher = ScriptedPublisher(*outcomes)
        self.dispatcher = SeriesDispatcher(
            self.journal,
            self.spool,
            self.publisher,
            RetryPolicy(first_delay=1.0, max_delay=60.0),
            self.clock,
            inline,
            jitter=lambda: 0.0,
            concurrency=concurrency,
        )

    def record(self, series: str = "1.2", revision: int = 1) -> Delivery:
        self.spool.files[series, "1.1"] = [(instance(series=series), b"abc")]
        made = next_revision(None, collected("1.1", series=series), AT)
        assert made is not None
        sent = report(series, revision=revision)
        delivery = Delivery(delivery_id_of(sent), sent)
        self.journal.record(made, delivery)
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
        return self.journal.counts()[state]


def test_delivered_series_is_settled_and_its_files_released():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
            assert bench.published() == [("1.2", 1)]
            assert bench.count(DeliveryState.DELIVERED) == 1
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_what_the_journal_owes_is_resumed_at_start():
    async def scenario():
        bench = Bench()
        bench.record("1.2")
        bench.record("1.4")
        async with bench.running():
            assert bench.published() == [("1.2", 1), ("1.4", 1)]

    asyncio.run(scenario())


def test_failing_server_is_tried_again_later_each_time_and_files_stay():
    async def scenario():
        bench = Bench(DOWN, DOWN, DOWN)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await settle()
            for seconds, attempts in [(0.9, 1), (0.2, 2), (1.8, 2), (0.2, 3), (3.8, 3), (0.3, 4)]:
                await bench.clock.advance(seconds)
                assert len(bench.published()) == attempts
                assert bool(bench.spool.files) == (attempts < 4)
            assert [attempt for _, attempt in bench.published()] == [1, 2, 3, 4]
            assert len({d.delivery_id for d in bench.publisher.published}) == 1
            assert bench.count(DeliveryState.DELIVERED) == 1

    asyncio.run(scenario())


def test_rejected_report_is_a_dead_letter_with_its_files():
    async def scenario():
        bench = Bench(REFUSED)
        async with bench.running():
            bench.dispatcher.deliver(bench.record())
            await bench.clock.advance(1000)
            assert len(bench.published()) == 1
            assert bench.count(DeliveryState.DEAD) == 1
            assert bench.spool.files != {}

    asyncio.run(scenario())


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
        assert [d.attempt for d in bench.journal.undelivered()] == [1]

    asyncio.run(scenario())
