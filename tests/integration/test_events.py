"""`GET /events`: every change once, in order, whoever writes and whoever reads."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import run
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.processes import PATIENCE
from tests.fakes_server import MemorySeriesStore
from tests.integration.app_client import AppClient, assert_problem
from tests.integration.running_server import read_events, running_server
from tests.unit.server.examples import report, ticking_clock

from seriesgate.server.changes.event_stream import events
from seriesgate.server.changes.feed import ChangeFeed


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path, postgresql):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/series_data.db"
    else:
        url = postgresql.migrated_database()
        yield url
        postgresql.give_back(url)


def test_events_are_resumed_where_the_stream_broke_off(database_url):
    with running_server(database_url) as server:
        with server.follow() as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["cache-control"] == "no-store"
            server.register(PatientName="山田^太郎")
            server.register()
            server.register(InstancesInSeries=11)
            first, second = read_events(stream, 2)
        assert (first[:2], second[:2]) == ((1, "created"), (2, "updated"))
        assert first[2]["PatientName"] == "山田^太郎"
        assert second[2] == server_row(server)
        server.register(InstancesInSeries=12)
        with server.follow(**{"Last-Event-ID": "1"}) as stream:
            again, third = read_events(stream, 2)
        assert again == second
        assert (third[0], third[2]["InstancesInSeries"]) == (3, 12)


def server_row(server):
    row = server.client.get("/series/1.2").json()
    return {name: value for name, value in row.items() if name != "History"}


def test_reader_at_another_server_misses_nothing(postgresql):
    """Two servers write at once: whose change gets which number is decided by the commits."""
    url = postgresql.migrated_database()
    with (
        running_server(url) as one,
        running_server(url) as other,
        one.follow(**{"Last-Event-ID": "0"}) as stream,
        ThreadPoolExecutor(8) as clients,
    ):

        def register(number):
            (one, other)[number % 2].register(SeriesInstanceUID=f"1.{number}")

        done = [clients.submit(register, number) for number in range(100)]
        found = read_events(stream, 100)
        for each in done:
            each.result()
    assert [number for number, _, _ in found] == list(range(1, 101))
    assert {data["SeriesInstanceUID"] for _, _, data in found} == {f"1.{n}" for n in range(100)}
    postgresql.give_back(url)


def test_stop_of_the_server_ends_the_streams(tmp_path):
    with (
        running_server(f"sqlite:///{tmp_path}/series_data.db") as server,
        server.follow() as stream,
    ):
        server.stop()
        assert list(stream.iter_lines())[:1] == ["retry: 2000"]


def test_revoked_token_ends_its_stream(tmp_path):
    admin = {"name": "admin", "token": "a-token-that-may-do-all", "scopes": ["admin"]}
    with running_server(f"sqlite:///{tmp_path}/series_data.db", tokens=[admin]) as server:
        server.client.headers["Authorization"] = f"Bearer {admin['token']}"
        made = server.client.post("/tokens", json={"name": "ward-3", "scopes": ["read"]}).json()
        with server.follow(Authorization=f"Bearer {made['token']}") as stream:
            server.register()
            lines = stream.iter_lines()
            assert "event: created" in (next(lines) for _ in range(4))
            server.client.delete("/tokens/ward-3").raise_for_status()
            server.register(InstancesInSeries=11)
            assert [line for line in lines if line.startswith("event")] == []


def test_readers_who_leave_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr("seriesgate.server.routes.events._MAX_STREAMS", 2)
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        with server.follow() as first, server.follow() as second:
            assert (first.status_code, second.status_code) == (200, 200)
            with server.follow() as third:
                third.read()
                assert_problem(third, 503)
                assert third.headers["retry-after"] == "30"

        # The server learns of the end of a connection when it is told, not when we are.
        def is_let_in():
            with server.follow() as stream:
                return stream.status_code == 200

        assert any(is_let_in() for _ in range(1000))


@pytest.mark.parametrize("number", ["-1", "x", "1" * 19, "１"])
def test_what_is_no_number_is_422(number):
    with AppClient() as client:
        answer = client.get("/events", headers={"Last-Event-ID": number.encode()})
        assert_problem(answer, 422, "Last-Event-ID")
        assert_problem(client.get("/events", params={"after": number}), 422, "after")


class WatchedStore(MemorySeriesStore):
    """`looks` has an entry for each look at the changes."""

    def __init__(self):
        super().__init__(ticking_clock())
        self.looks = []

    async def changes(self, after, *, limit):
        self.looks.append("changes")
        return await super().changes(after, limit=limit)

    async def latest_change(self):
        self.looks.append("latest")
        return await super().latest_change()


class Reader:
    """A reader of a stream, and the feed that it follows, in one event loop."""

    def __init__(self):
        self.store = WatchedStore()
        self.feed = ChangeFeed(self.store, poll_interval=0.001)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.feed.run())
        yield self
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_silence_is_broken_by_comments():
    async def scenario():
        async with Reader().running() as reader:
            stream = events(reader.feed, 0, heartbeat=0.001)
            assert await anext(stream) == "retry: 2000\n\n"
            assert await anext(stream) == ":\n\n"
            await reader.store.register(report())
            piece = await anext(stream)
            while piece == ":\n\n":
                piece = await anext(stream)
            assert piece.startswith("id: 1\nevent: created\ndata: {")
            assert piece.endswith("}\n\n")
            assert piece.count("\n") == 4

    run(scenario())


def test_store_is_not_read_while_nobody_follows_and_who_comes_misses_nothing():
    async def scenario():
        async with Reader().running() as reader:
            looks = reader.store.looks

            async def register(number):
                await reader.store.register(report(SeriesInstanceUID=f"1.{number}"))
                reader.feed.announce()
                for _ in range(100):
                    await asyncio.sleep(0)

            await register(1)
            assert not looks
            stream = events(reader.feed, 0)
            await anext(stream)
            assert (await anext(stream)).startswith("id: 1\n")
            await register(2)
            assert (await anext(stream)).startswith("id: 2\n")
            assert looks
            await stream.aclose()
            await register(3)
            looks.clear()
            await register(4)
            assert not looks
            stream = events(reader.feed, 2)
            await anext(stream)
            assert (await anext(stream)).count("\nevent: created\n") == 2

    run(scenario())


def test_broken_database_ends_the_stream_and_the_feed_goes_on():
    async def scenario():
        async with Reader().running() as reader:
            stream = events(reader.feed, 0)
            await anext(stream)
            reader.store.out_of_order = True
            assert [piece async for piece in stream] == []
            reader.store.out_of_order = False
            await reader.store.register(report())
            with reader.feed.following():
                assert await reader.feed.wait(PATIENCE)
            assert len(await reader.feed.after(0)) == 1

    run(scenario())


def test_reader_far_behind_reads_all_from_the_database():
    async def scenario():
        async with Reader().running() as reader:
            for number in range(1500):
                await reader.store.register(report(SeriesInstanceUID=f"1.{number}"))
            while not (await reader.feed.after(1400)):
                await reader.feed.wait(PATIENCE)
            position = 0
            while changes := await reader.feed.after(position):
                assert [each.sequence for each in changes] == list(
                    range(position + 1, changes[-1].sequence + 1)
                )
                position = changes[-1].sequence
            assert position == 1500

    run(scenario())
