"""The thread that commits waiting writes as a group."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.sql import database_thread
from seriesgate.server.sql.database_thread import DatabaseThread

if TYPE_CHECKING:
    from collections.abc import Sequence


class Database:
    """Stands for a database: records the groups it commits; can be held up, and can fail."""

    def __init__(self):
        self.groups = []
        self.failure = {}
        self.busy = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def commit(self, group):
        self.busy.set()
        assert self.free.wait(10)
        self.groups.append(list(group))
        for item in group:
            if item in self.failure:
                raise self.failure[item]
        return [f"{item} kept" for item in group]


@asynccontextmanager
async def running(database, **limits):
    thread = DatabaseThread(database.commit, **limits)
    try:
        yield thread
    finally:
        database.free.set()
        await thread.close()


async def held_up(thread, database):
    """Keep the thread in a commit, until `database.free` is set."""
    database.free.clear()
    first = asyncio.create_task(thread.write("first"))
    await asyncio.to_thread(database.busy.wait, 10)
    return first


async def enqueued(*coroutines):
    """Tasks of coroutines that have come as far as the queue."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


def test_lone_write_is_committed_at_once():
    async def scenario():
        async with running(database) as thread:
            return await thread.write("a")

    database = Database()
    assert asyncio.run(scenario()) == "a kept"
    assert database.groups == [["a"]]


def test_writes_that_wait_for_a_commit_are_the_next_group():
    async def scenario():
        async with running(database) as thread:
            first = await held_up(thread, database)
            others = await enqueued(*(thread.write(item) for item in "abc"))
            database.free.set()
            return await asyncio.gather(first, *others)

    database = Database()
    assert asyncio.run(scenario()) == ["first kept", "a kept", "b kept", "c kept"]
    assert database.groups == [["first"], ["a", "b", "c"]]


def test_those_who_were_answered_are_waited_for():
    async def scenario():
        async with running(database, expect_return_for=60) as thread:
            first = await held_up(thread, database)
            others = await enqueued(thread.write("a"), thread.write("b"))
            database.free.set()
            await first
            await thread.write("c")
            await asyncio.gather(*others)

    database = Database()
    asyncio.run(scenario())
    assert database.groups == [["first"], ["a", "b", "c"]]


def test_nobody_is_waited_for_who_does_not_come():
    async def scenario():
        async with running(database, expect_return_for=0) as thread:
            first = await held_up(thread, database)
            others = await enqueued(thread.write("a"), thread.write("b"))
            database.free.set()
            await asyncio.gather(first, *others)

    database = Database()
    asyncio.run(scenario())
    assert database.groups == [["first"], ["a", "b"]]


def test_lone_client_waits_for_nobody():
    async def scenario():
        async with running(database, expect_return_for=60) as thread:
            for item in "abc":
                await thread.write(item)

    database = Database()
    asyncio.run(scenario())
    assert database.groups == [["a"], ["b"], ["c"]]


def test_call_waits_for_nobody_to_return():
    async def scenario():
        async with running(database, expect_return_for=60) as thread:
            first = await held_up(thread, database)
            others = await enqueued(thread.write("a"))
            database.free.set()
            await first
            groups = await thread.call(lambda: list(database.groups))
            await asyncio.gather(*others)
            return groups

    database = Database()
    assert asyncio.run(scenario()) == [["first"], ["a"]]


def test_group_has_a_greatest_size():
    async def scenario():
        async with running(database, max_group=2) as thread:
            first = await held_up(thread, database)
            others = await enqueued(*(thread.write(item) for item in "abcde"))
            database.free.set()
            await asyncio.gather(first, *others)

    database = Database()
    asyncio.run(scenario())
    assert database.groups == [["first"], ["a", "b"], ["c", "d"], ["e"]]


def test_call_sees_the_writes_that_came_before_it():
    async def scenario():
        async with running(database, max_group=1) as thread:
            first = await held_up(thread, database)
            others = await enqueued(
                thread.write("a"), thread.write("b"), thread.call(lambda: len(database.groups))
            )
            database.free.set()
            return (await asyncio.gather(first, *others))[-1]

    database = Database()
    assert asyncio.run(scenario()) == 3


def test_calls_and_groups_take_turns(monkeypatch):
    """Neither a crowd of readers nor one of writers holds up the others."""
    monkeypatch.setattr(database_thread, "_TURN", 0.0)

    async def scenario():
        async with running(database, max_group=1) as thread:
            first = await held_up(thread, database)
            calls = [thread.call(lambda n=n: database.groups.append(n)) for n in range(3)]
            others = await enqueued(*calls, *(thread.write(item) for item in "ab"))
            database.free.set()
            await asyncio.gather(first, *others)

    database = Database()
    asyncio.run(scenario())
    assert database.groups == [["first"], 0, ["a"], 1, ["b"], 2]


def test_it_tidies_up_piece_by_piece_at_the_start_and_when_there_is_nothing_else_to_do():
    pieces = iter([True, False, True, True, False])
    done = threading.Semaphore(0)
    tidied = []

    def tidy():
        tidied.append(list(database.groups))
        is_more = next(pieces)
        if not is_more:
            done.release()
        return is_more

    async def scenario():
        async with running(database, tidy=tidy) as thread:
            await asyncio.to_thread(done.acquire, timeout=10)
            await thread.write("a")
            await asyncio.to_thread(done.acquire, timeout=10)

    database = Database()
    asyncio.run(scenario())
    assert tidied == [[]] * 2 + [[["a"]]] * 3


def test_trouble_with_tidying_is_nobodys_and_is_over():
    tried = threading.Event()

    def tidy():
        tried.set()
        raise OSError("full")

    async def scenario():
        async with running(Database(), tidy=tidy) as thread:
            await thread.write("a")
            await asyncio.to_thread(tried.wait, 10)
            return await thread.write("b")

    assert asyncio.run(scenario()) == "b kept"


def test_call_raises_what_its_function_raises():
    async def scenario():
        async with running(Database()) as thread:
            with pytest.raises(ZeroDivisionError):
                await thread.call(lambda: 1 // 0)
            return await thread.call(lambda: "well")

    assert asyncio.run(scenario()) == "well"


def test_answer_that_is_an_exception_is_raised_for_its_caller_alone():
    async def scenario():
        def commit(group: Sequence[str]) -> list[str | Exception]:
            return [ValueError("no") if item == "b" else item for item in group]

        thread = DatabaseThread(commit)
        try:
            return await asyncio.gather(
                *(thread.write(item) for item in "abc"), return_exceptions=True
            )
        finally:
            await thread.close()

    a, b, c = asyncio.run(scenario())
    assert (a, type(b), c) == ("a", ValueError, "c")


def test_item_that_the_database_chokes_on_spoils_no_other():
    async def scenario():
        async with running(database) as thread:
            first = await held_up(thread, database)
            others = await enqueued(*(thread.write(item) for item in "abc"))
            database.free.set()
            return await asyncio.gather(first, *others, return_exceptions=True)

    database = Database()
    database.failure["b"] = OverflowError("too large")
    _, a, b, c = asyncio.run(scenario())
    assert (a, type(b), c) == ("a kept", OverflowError, "c kept")
    assert database.groups == [["first"], ["a", "b", "c"], ["a"], ["b"], ["c"]]


def test_unavailable_database_is_asked_once_for_a_group():
    async def scenario():
        async with running(database) as thread:
            first = await held_up(thread, database)
            others = await enqueued(*(thread.write(item) for item in "abc"))
            database.free.set()
            return await asyncio.gather(first, *others, return_exceptions=True)

    database = Database()
    database.failure["b"] = StoreUnavailable("disk full")
    _, *answers = asyncio.run(scenario())
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert len({id(answer) for answer in answers}) == 3, "a shared exception grows a traceback"
    assert database.groups == [["first"], ["a", "b", "c"]]


def test_full_queue_refuses_at_once():
    async def scenario():
        async with running(database, max_waiting=2) as thread:
            first = await held_up(thread, database)
            accepted = await enqueued(thread.write("a"), thread.call(lambda: "b"))
            with pytest.raises(StoreUnavailable):
                await thread.write("c")
            with pytest.raises(StoreUnavailable):
                await thread.call(lambda: "d")
            database.free.set()
            return await asyncio.gather(first, *accepted)

    database = Database()
    assert asyncio.run(scenario()) == ["first kept", "a kept", "b"]


def test_close_finishes_what_waits_and_refuses_the_rest():
    async def scenario():
        thread = DatabaseThread(database.commit)
        first = await held_up(thread, database)
        accepted = await enqueued(thread.write("a"), thread.call(lambda: "b"))
        (closing,) = await enqueued(thread.close())
        with pytest.raises(StoreUnavailable):
            await thread.write("late")
        database.free.set()
        await closing
        return await asyncio.gather(first, *accepted)

    database = Database()
    assert asyncio.run(scenario()) == ["first kept", "a kept", "b"]
    assert not [each for each in threading.enumerate() if each.name == "database"]


def test_close_may_be_called_again():
    async def scenario():
        thread = DatabaseThread(Database().commit)
        await thread.close()
        await thread.close()

    asyncio.run(scenario())


def test_write_whose_task_was_cancelled_is_committed_and_stops_no_other():
    async def scenario():
        async with running(database) as thread:
            first = await held_up(thread, database)
            a, b = await enqueued(thread.write("a"), thread.write("b"))
            a.cancel()
            database.free.set()
            await first
            return await b

    database = Database()
    assert asyncio.run(scenario()) == "b kept"
    assert database.groups == [["first"], ["a", "b"]]


def test_event_loop_that_ended_stops_no_other():
    """A loop may be gone, with its waiting tasks, when the commit is done."""

    async def abandon(thread):
        task = await held_up(thread, database)
        task.cancel()

    async def use(thread):
        database.free.set()
        result = await thread.write("b")
        await thread.close()
        return result

    database = Database()
    thread = DatabaseThread(database.commit)
    asyncio.run(abandon(thread))
    assert asyncio.run(use(thread)) == "b kept"
