"""Threads that read, where many connections may work at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.sql.reader_threads import ReaderThreads


def test_calls_run_at_the_same_time():
    """Each waits for the other: one thread would never get through."""
    together = threading.Barrier(3, timeout=10)

    async def scenario():
        threads = ReaderThreads(3)
        await asyncio.gather(*(threads.call(together.wait) for _ in range(3)))
        await threads.close()

    asyncio.run(scenario())


def test_what_a_call_raises_its_caller_gets():
    async def scenario():
        threads = ReaderThreads(1)
        with pytest.raises(ZeroDivisionError):
            await threads.call(lambda: 1 // 0)
        assert await threads.call(lambda: 5) == 5
        await threads.close()

    asyncio.run(scenario())


def test_too_many_callers_are_told_at_once_and_gone_ones_count_while_they_run():
    free = threading.Event()

    async def scenario():
        threads = ReaderThreads(1, max_waiting=2)
        calls = [asyncio.create_task(threads.call(free.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await threads.call(free.wait)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(StoreUnavailable, match="too many"):
            await threads.call(free.wait)
        free.set()
        await threads.close()
        with pytest.raises(StoreUnavailable, match="stopping"):
            await threads.call(free.wait)

    asyncio.run(scenario())
