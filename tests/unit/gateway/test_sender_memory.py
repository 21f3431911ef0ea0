from __future__ import annotations

import asyncio

import pytest
from tests.fakes import FakeClock, QuietAssociation, inline
from tests.memory_journal import MemoryJournal

from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.ports import JournalFailed, JournalFull
from seriesgate.gateway.sender_memory import SenderMemory
from seriesgate.gateway.senders import Peer, SenderRegister

MR1 = Peer("10.0.0.1", "MR1")


class Run:
    """One run of a program on a journal."""

    def __init__(self, journal: MemoryJournal, quiet_period: float = 1.0) -> None:
        self.clock = FakeClock()
        self.register = SenderRegister(self.clock)
        self.memory = SenderMemory(
            self.register, journal, self.clock, inline, quiet_period, Bulkheads(self.clock)
        )

    def sees(self) -> None:
        self.register.accepted(MR1, QuietAssociation(stored=5))
        self.register.series_closed(MR1, None)
        self.register.series_closed(MR1, None, 3.0)


def test_what_was_seen_is_known_after_a_restart():
    async def scenario():
        journal = MemoryJournal()
        before = Run(journal)
        await before.memory.recall()
        before.sees()
        await before.memory.keep()
        after = Run(journal)
        await after.memory.recall()
        (sender,) = after.register.senders()
        assert (sender.peer, sender.stored, sender.series, sender.late) == (MR1, 5, 1, 1)

    asyncio.run(scenario())


def test_late_arrivals_at_another_quiet_period_are_forgotten():
    async def scenario():
        journal = MemoryJournal()
        before = Run(journal)
        before.sees()
        await before.memory.keep()
        after = Run(journal, quiet_period=5.0)
        await after.memory.recall()
        (sender,) = after.register.senders()
        assert (sender.stored, sender.series, sender.late) == (5, 0, 0)
        assert sum(sender.pauses.counts) == 0

    asyncio.run(scenario())


def test_it_is_written_down_once_a_minute():
    async def scenario():
        journal = MemoryJournal()
        run = Run(journal)
        run.sees()
        task = asyncio.create_task(run.memory.run())
        await run.clock.advance(59.0)
        assert journal.senders() == ([], None)
        await run.clock.advance(1.0)
        assert len(journal.senders()[0]) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_full_disk_is_waited_for_and_a_failed_journal_is_not():
    async def scenario():
        journal = MemoryJournal()
        run = Run(journal)
        run.sees()
        journal.failure = JournalFull("database or disk is full")
        await run.memory.keep()
        journal.failure = JournalFailed("disk I/O error")
        with pytest.raises(JournalFailed):
            await run.memory.keep()
        journal.failure = None
        await run.memory.keep()
        assert len(journal.senders()[0]) == 1

    asyncio.run(scenario())
