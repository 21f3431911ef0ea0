from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from tests.examples import DIGEST, collected, instance, report
from tests.fakes import FakeClock, MemorySpool, inline, settle
from tests.memory_journal import MemoryJournal

from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.ports import JournalFull, Outcome
from seriesgate.gateway.retention import Retention
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.model import InstanceCopy
from seriesgate.series.revision import next_revision

DAY = 86400.0


class Bench:
    def __init__(self, keep: float = 0.0, remember: float = 30 * DAY) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.spool = MemorySpool()
        self.retention = Retention(
            self.journal,
            self.spool,
            self.clock,
            inline,
            inline,
            Bulkheads(self.clock),
            keep_delivered=keep,
            remember_delivered=remember,
        )

    def deliver(self, series: str = "1.2") -> None:
        self.spool.add(instance(series=series))
        revision = next_revision(
            self.journal.known(collected(series=series)),
            collected("1.1", series=series),
            self.clock.utcnow(),
        )
        assert revision is not None
        sent = report(series)
        delivery = Delivery(delivery_id_of(sent), sent)
        self.journal.record([(revision, delivery)])
        self.journal.settle([Outcome(delivery)], self.clock.utcnow())
        self.retention.wake()

    def knows(self, series: str) -> bool:
        return self.journal.known(collected(series=series)) is not None

    def came_again(self, series: str) -> None:
        self.journal.hold(series, [InstanceCopy("1.1", DIGEST)])

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.retention.run())
        await settle()
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def test_files_go_as_soon_as_they_are_delivered():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.deliver()
            await settle()
            assert bench.spool.files == {}
            assert bench.knows("1.2")

    asyncio.run(scenario())


def test_what_was_delivered_before_a_restart_goes_at_start():
    async def scenario():
        bench = Bench()
        bench.deliver()
        async with bench.running():
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_files_are_kept_for_a_while_if_so_wished():
    async def scenario():
        bench = Bench(keep=3600)
        async with bench.running():
            bench.deliver()
            await bench.clock.advance(3599)
            assert bench.spool.files != {}
            await bench.clock.advance(61)
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_files_that_came_again_go_again():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.deliver()
            await settle()
            bench.spool.add(instance())
            bench.came_again("1.2")
            bench.retention.wake()
            await settle()
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_log_counts_each_removed_file_once(caplog):
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.deliver("1.2")
            bench.deliver("1.4")
            await settle()
            bench.spool.add(instance())
            for series in ("1.2", "1.4"):
                bench.came_again(series)
            bench.retention.wake()
            await settle()
            bench.came_again("1.4")
            bench.retention.wake()
            await settle()

    caplog.set_level(logging.INFO, "seriesgate.gateway.retention")
    asyncio.run(scenario())
    assert caplog.messages == [
        "2 files of 2 delivered series are removed",
        "1 files of 1 delivered series are removed",
    ]


def test_series_is_forgotten_in_the_end():
    async def scenario():
        bench = Bench(remember=DAY)
        async with bench.running():
            bench.deliver()
            await bench.clock.advance(DAY - 1)
            assert bench.knows("1.2")
            await bench.clock.advance(121)
            assert not bench.knows("1.2")

    asyncio.run(scenario())


def test_nothing_is_forgotten_before_its_files_are_gone():
    async def scenario():
        bench = Bench(keep=2 * DAY, remember=0)
        async with bench.running():
            bench.deliver()
            await bench.clock.advance(2 * DAY - 1)
            assert bench.knows("1.2")
            assert bench.spool.files != {}
            await bench.clock.advance(200)
            assert bench.spool.files == {}
            assert not bench.knows("1.2")

    asyncio.run(scenario())


def test_full_journal_is_waited_for():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.deliver()
            bench.journal.failure = JournalFull("no room")
            await settle()
            assert bench.spool.files != {}
            bench.journal.failure = None
            await bench.clock.advance(61)
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_disk_that_does_not_let_go_of_files_stops_nothing(caplog, monkeypatch):
    async def scenario():
        bench = Bench()
        monkeypatch.setattr(bench.spool, "release", failing_once(bench.spool.release))
        async with bench.running():
            bench.deliver("1.2")
            await settle()
            bench.deliver("1.4")
            await settle()
            assert bench.spool.uids() == [("1.2", "1.1")]

    asyncio.run(scenario())
    assert "cannot be removed" in caplog.text


def failing_once(release):
    failures = [OSError(5, "Input/output error")]

    def release_or_fail(*arguments):
        if failures:
            raise failures.pop()
        return release(*arguments)

    return release_or_fail
