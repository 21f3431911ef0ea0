"""Each long task of the server survives whatever goes wrong in one unit of its work.

The tasks are those of the wiring: one that is added has no place in the table, and the first test
fails.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from tests.e2e.processes import PATIENCE
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.listener import bind_listener
from seriesgate.server.changes import event_stream, webhook_queue
from seriesgate.server.changes.feed import ChangeFeed
from seriesgate.server.http import body_limit, upload_memory
from seriesgate.server.sql import deletion, housekeeping, read, sqlite_upkeep
from seriesgate.server.sql.opening import utc_now
from seriesgate.settings.server import ServerSettings
from seriesgate.startup import MustStop
from seriesgate.wiring.server import run_server, server_app
from seriesgate.wiring.worker_seat import WorkerSeat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI

CULPRIT, INNOCENT = "1.666", "1.2"
UNEXPECTED = [ValueError, RecursionError, MemoryError, UnicodeError, OverflowError]
WEBHOOKS = ("archive", "ris")
_SECRET = "whsec_" + base64.b64encode(b"a key of at least 24 bytes").decode()


class Site:
    """A server as the wiring joins it, with receivers of webhooks and a reader of events."""

    def __init__(self, app: FastAPI, link: socket.socket) -> None:
        self.app: Any = app
        self.link = link
        self.told: dict[str, list[str]] = {name: [] for name in WEBHOOKS}
        self.events = b""
        self.is_spoiled = True
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        for name, dispatcher in self.app.state.webhooks.items():
            dispatcher.sender.send = self._receiver(name)

    def _receiver(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def send(message: Any) -> None:
            self.told[name].append(json.loads(message.body)["data"]["SeriesInstanceUID"])

        return send

    @property
    def database(self) -> Any:
        return self.app.state.store.database

    def failures(self, task: str) -> float:
        found: float = self.app.state.metrics._registry.get_sample_value(
            "seriesgate_server_task_failures_total", {"task": task}
        )
        return found

    async def register(self, uid: str) -> int:
        fields = FIVE_FIELDS | {"SeriesInstanceUID": uid}
        async with asyncio.timeout(PATIENCE):
            return (await self.client.post("/series", json=fields)).status_code

    async def follow(self) -> None:
        """Read the events until cancelled, and again whenever they end."""

        async def send(message: Any) -> None:
            self.events += message.get("body", b"")

        while True:
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/events",
                "raw_path": b"/events",
                "query_string": b"after=0",
                "headers": [(b"host", b"localhost")],
                "scheme": "http",
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 80),
                "http_version": "1.1",
                "root_path": "",
                "asgi": {"version": "3.0"},
            }
            await self.app(scope, Request(), send)
            await asyncio.sleep(0.01)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - threads and a loop of the server are at work
                await asyncio.sleep(0.002)

    async def until_more_failures(self, task: str, before: float) -> None:
        await self.until(lambda: self.failures(task) > before)

    async def everything_goes_on(self) -> None:
        """See that an innocent series goes all ways."""
        assert await self.register(INNOCENT) == 201
        await self.until(lambda: all(INNOCENT in told for told in self.told.values()))
        await self.until(lambda: f'"SeriesInstanceUID":"{INNOCENT}"'.encode() in self.events)
        answer = await self.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


class Request:
    """The `receive` of a request without a body, whose client stays."""

    def __init__(self) -> None:
        self.is_read = False

    async def __call__(self) -> dict[str, Any]:
        if self.is_read:
            await asyncio.Event().wait()
        self.is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}


@contextlib.contextmanager
def app_in(folder: Path) -> Iterator[tuple[FastAPI, socket.socket]]:
    metrics = folder / "metrics"
    metrics.mkdir()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    settings = ServerSettings(
        database_url=f"sqlite:///{folder}/series_data.db",
        webhooks=[
            {"name": name, "url": "http://127.0.0.1:9/", "secret": _SECRET} for name in WEBHOOKS
        ],
    )
    with ours, theirs, bind_listener("127.0.0.1", 0) as listener:
        yield server_app(settings, seat=WorkerSeat(listener, theirs, metrics)), ours
        asyncio.get_running_loop().remove_reader(theirs)


@contextlib.asynccontextmanager
async def site_in(
    folder: Path, before: Callable[[Site], None] = lambda _site: None
) -> AsyncIterator[Site]:
    """Run a server; `before` is called with it before it starts."""
    with app_in(folder) as (app, link):
        site = Site(app, link)
        before(site)
        async with app.router.lifespan_context(app):
            reader = asyncio.create_task(site.follow())
            try:
                yield site
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                await site.client.aclose()


class Fault(NamedTuple):
    """How to make units of a task raise, and what has it do one; `fail` raises, while spoiled."""

    spoil: Callable[[Site, Callable[[], None], pytest.MonkeyPatch], None]
    work: Callable[[Site, str], Awaitable[object]] = lambda site, uid: site.register(uid)


def failing_for_the_culprit(
    original: Callable[..., Any], fail: Callable[[], None]
) -> Callable[..., Any]:
    """Give a function that fails for what names the culprit, or has it in its body."""

    def spoiled(first: Any, *others: Any) -> Any:
        if CULPRIT in repr(first):
            fail()
        return original(first, *others)

    return spoiled


def failing_at_first(original: Callable[..., Any], fail: Callable[[], None]) -> Callable[..., Any]:
    def spoiled(*arguments: Any) -> Any:
        fail()
        return original(*arguments)

    return spoiled


def spoiled_webhook(name: str) -> Fault:
    def spoil(site: Site, fail: Callable[[], None], _monkeypatch: pytest.MonkeyPatch) -> None:
        sender = site.app.state.webhooks[name].sender
        sender.send = failing_for_the_culprit(sender.send, fail)

    return Fault(spoil)


def spoiled_database(site: Site, fail: Callable[[], None], _monkeypatch: object) -> None:
    thread = site.database._thread
    thread._commit_group = failing_for_the_culprit(thread._commit_group, fail)


def spoiled_upkeep(site: Site, fail: Callable[[], None], _monkeypatch: object) -> None:
    site.database._tidy = failing_at_first(site.database._tidy, fail)


def spoiled_feed(site: Site, fail: Callable[[], None], _monkeypatch: object) -> None:
    feed = site.app.state.feed
    feed._look = failing_at_first(feed._look, fail)


def spoiled_messages(site: Site, fail: Callable[[], None], _monkeypatch: object) -> None:
    authentication = site.app.state.authentication
    authentication.forget = failing_at_first(authentication.forget, fail)


def spoiled_memory(_site: Site, fail: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_memory, "_MANY", 0)
    monkeypatch.setattr(body_limit, "_GIVE_BACK_AFTER", 0.0)
    spoiled = failing_at_first(upload_memory.give_memory_back, fail)
    monkeypatch.setattr(body_limit, "give_memory_back", spoiled)


def spoiled_in(module: Any, name: str, spoiled: Callable[..., Any]) -> Fault:
    def spoil(_site: Site, fail: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, name, spoiled(getattr(module, name), fail))

    return Fault(spoil)


async def hear(site: Site, _uid: str) -> None:
    site.link.send(b"tokens ")


async def keep_house(site: Site, _uid: str) -> None:
    await site.app.state.tasks["housekeeping"].__self__.once()


FAULTS = {
    "database": Fault(spoiled_database),
    "upkeep of the database": Fault(spoiled_upkeep),
    "text index": spoiled_in(sqlite_upkeep, "merge_texts", failing_at_first),
    "messages of workers": Fault(spoiled_messages, hear),
    "webhook archive": spoiled_webhook("archive"),
    "webhook ris": spoiled_webhook("ris"),
    "housekeeping": spoiled_in(housekeeping, "forget_webhooks", failing_at_first)._replace(
        work=keep_house
    ),
    "change feed": Fault(spoiled_feed),
    "event streams": spoiled_in(event_stream, "_event", failing_for_the_culprit),
    "giving memory back": Fault(spoiled_memory),
}


def test_each_task_of_the_wiring_is_in_the_table(tmp_path):
    async def scenario():
        with app_in(tmp_path) as (app, _link):
            assert set(app.state.bulkheads.names()) == FAULTS.keys()
            assert app.state.tasks.keys() <= FAULTS.keys()
            await app.state.store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("task", FAULTS)
def test_units_that_fail_are_contained_and_the_others_go_on(tmp_path, caplog, monkeypatch, task):
    kinds = cycle(UNEXPECTED)

    async def scenario():
        def spoil(site: Site) -> None:
            def fail() -> None:
                if site.is_spoiled:
                    raise next(kinds)("Doe^Jane")

            FAULTS[task].spoil(site, fail, monkeypatch)

        async with site_in(tmp_path, spoil) as site:
            for number, _ in enumerate(UNEXPECTED):
                before = site.failures(task)
                await FAULTS[task].work(site, f"{CULPRIT}.{number}")
                await site.until_more_failures(task, before)
            await site.everything_goes_on()
            others = [name for name in FAULTS if name != task]
            assert {name for name in others if site.failures(name)} == set()
            site.is_spoiled = False
            await site.register("1.3")
            await site.until(lambda: all("1.3" in told for told in site.told.values()))

    asyncio.run(scenario())
    assert "Doe" not in caplog.text
    for kind in UNEXPECTED:
        assert f"{kind.__name__} at test_server_bulkheads.py" in caplog.text


def test_change_that_fails_for_a_webhook_is_its_dead_letter_until_it_is_retried(
    tmp_path, monkeypatch
):
    async def scenario():
        def fail() -> None:
            if site.is_spoiled:
                raise ValueError("Doe^Jane")

        async with site_in(tmp_path) as site:
            FAULTS["webhook ris"].spoil(site, fail, monkeypatch)
            await site.register(CULPRIT)
            await site.everything_goes_on()
            assert site.told["archive"] == [CULPRIT, INNOCENT]
            queue = site.app.state.webhooks["ris"].queue
            (letter,) = await queue.dead_letters("ris", limit=9)
            assert letter.sequence == 1
            assert letter.reason.startswith("internal error: ValueError at test_server_bulkheads.")
            site.is_spoiled = False
            answer = await site.client.post("/webhooks/ris/retry")
            assert answer.json() == {"retried": 1}
            await site.until(lambda: site.told["ris"] == [INNOCENT, CULPRIT])

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", UNEXPECTED)
def test_change_that_cannot_be_read_holds_up_neither_webhooks_nor_readers(
    tmp_path, caplog, monkeypatch, kind
):
    def fail() -> None:
        raise kind("Doe^Jane")

    async def scenario():
        monkeypatch.setattr(read, "_change", failing_for_the_culprit(read._change, fail))
        async with site_in(tmp_path) as site:
            await site.register(CULPRIT)
            await site.everything_goes_on()
            gap = b'id: 1\nevent: forgotten\ndata: {"From":1,"To":1}\n\n'
            assert gap in site.events
            assert CULPRIT.encode() not in site.events
            for name in WEBHOOKS:
                assert site.told[name] == [INNOCENT]
                assert site.failures(f"webhook {name}") == 1
                (letter,) = await site.app.state.webhooks[name].queue.dead_letters(name, limit=9)
                assert letter.reason.startswith(f"internal error: {kind.__name__} at ")
            assert site.failures("event streams") >= 1

    asyncio.run(scenario())
    assert "Doe" not in caplog.text


def test_stream_that_fails_ends_and_its_reader_comes_back(tmp_path, monkeypatch):
    looks = iter([ValueError("Doe^Jane")])

    async def scenario():
        async with site_in(tmp_path) as site:
            after = site.app.state.feed.after

            async def spoiled(position: int) -> Any:
                for error in looks:
                    raise error
                return await after(position)

            monkeypatch.setattr(site.app.state.feed, "after", spoiled)
            await site.everything_goes_on()
            assert site.failures("event streams") == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("task", ["change feed", "webhook archive", "webhook ris", "housekeeping"])
def test_task_that_ends_all_the_same_makes_the_server_not_ready(tmp_path, caplog, task, raises):
    async def end() -> None:
        if raises:
            raise ValueError("Doe^Jane")

    def spoil(site: Site) -> None:
        assert task in site.app.state.tasks
        site.app.state.tasks[task] = end

    async def scenario():
        async with site_in(tmp_path, spoil) as site:
            await site.until(site.app.state.bulkheads.all_ended)
            answer = await site.client.get("/readyz")
            assert answer.status_code == 503
            reason = "ValueError at test_server_bulkheads" if raises else "nothing was left to do"
            assert f"{task} has ended: {reason}" in answer.json()["detail"]
            assert "Doe" not in answer.text
            assert (await site.client.get("/healthz")).status_code == 200
            assert await site.register(INNOCENT) == 201
            reason = await site.app.state.bulkheads.wait_for_an_end()
            assert reason.startswith(f"{task} ended: ")

    asyncio.run(scenario())
    assert "Doe" not in caplog.text
    assert f"{task} has ended" in caplog.text


class Panic(BaseException):
    """As Rust's extensions raise it."""


def test_end_of_the_database_thread_answers_all_and_makes_the_server_not_ready(tmp_path, caplog):
    async def scenario():
        async with site_in(tmp_path) as site:

            def panic(_items: Any) -> Any:
                raise Panic("Doe^Jane")

            site.database._thread._commit_group = panic
            ending = asyncio.create_task(site.app.state.bulkheads.wait_for_an_end())
            assert await site.register(CULPRIT) == 503
            assert await site.register(INNOCENT) == 503
            assert (await ending).startswith("database ended: Panic at ")
            answer = await site.client.get("/readyz")
            assert answer.status_code == 503
            assert "database has ended: Panic at " in answer.json()["detail"]

    asyncio.run(scenario())
    assert "Doe" not in caplog.text


def test_claims_of_others_are_not_lost_with_one_that_cannot_be_read(tmp_path, monkeypatch):
    """What goes wrong in the query itself is told from the change by reading each for itself."""
    original = read._read_changes

    def spoiled(connection: Any, statement: Any) -> Any:
        found = original(connection, statement)
        if any(change.series.SeriesInstanceUID == CULPRIT for change in found):
            raise OverflowError("Doe^Jane")
        return found

    async def scenario():
        monkeypatch.setattr(read, "_read_changes", spoiled)
        async with site_in(tmp_path) as site:
            for uid in (CULPRIT, "1.3", "1.4"):
                await site.register(uid)
            await site.everything_goes_on()
            queue: webhook_queue.WebhookQueue = site.app.state.webhooks["ris"].queue
            assert sorted(site.told["ris"]) == sorted([INNOCENT, "1.3", "1.4"])
            (letter,) = await queue.dead_letters("ris", limit=9)
            assert letter.series_instance_uid == CULPRIT

    asyncio.run(scenario())


def test_series_that_cannot_be_deleted_by_its_age_is_passed_over(tmp_path, caplog, monkeypatch):
    counted: list[int] = []
    original = deletion._delete

    def spoiled(connection: Any, totals: Any, rows: Any, *others: Any) -> None:
        if any(row.SeriesInstanceUID.startswith(CULPRIT) for row in rows):
            raise UnicodeError("Doe^Jane")
        original(connection, totals, rows, *others)

    async def scenario():
        monkeypatch.setattr(deletion, "_delete", spoiled)
        async with site_in(tmp_path) as site:
            for number in range(4):
                await site.register(f"1.{number}")
            for number in range(2):
                await site.register(f"{CULPRIT}.{number}")
                await site.register(f"1.{number + 4}")
            house = housekeeping.Housekeeping(
                site.database,
                lambda: utc_now() + timedelta(days=2),
                timedelta(days=90),
                keep_series=timedelta(days=1),
                deleted=lambda _reason, count: counted.append(count),
            )
            await house.once()
            page = (await site.client.get("/series")).json()
            left = {each["SeriesInstanceUID"] for each in page["series"]}
            assert left == {f"{CULPRIT}.0", f"{CULPRIT}.1"}

    asyncio.run(scenario())
    assert counted == [6]
    assert "Doe" not in caplog.text
    assert "housekeeping (deletion of a series) failed and is tried again" in caplog.text


def test_deletion_that_always_fails_comes_to_an_end(tmp_path, monkeypatch):
    def spoiled(_connection: Any) -> None:
        raise ValueError("Doe^Jane")

    async def scenario():
        async with site_in(tmp_path) as site:
            await site.register(INNOCENT)
            monkeypatch.setattr(deletion, "lock_totals", spoiled)
            house = housekeeping.Housekeeping(
                site.database,
                lambda: utc_now() + timedelta(days=2),
                timedelta(days=90),
                keep_series=timedelta(days=1),
            )
            async with asyncio.timeout(PATIENCE):
                await house.once()

    asyncio.run(scenario())


def test_worker_one_of_whose_tasks_has_ended_ends_for_another_to_take_its_place(
    tmp_path, monkeypatch
):
    async def ends(_self: Any) -> None:
        raise OverflowError("Doe^Jane")

    async def scenario():
        monkeypatch.setattr(ChangeFeed, "run", ends)
        metrics = tmp_path / "metrics"
        metrics.mkdir()
        settings = ServerSettings(database_url=f"sqlite:///{tmp_path}/series_data.db")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ours, theirs, bind_listener("127.0.0.1", 0) as listener:
            seat = WorkerSeat(listener, theirs, metrics)
            with pytest.raises(MustStop, match="change feed ended: OverflowError at "):
                async with asyncio.timeout(PATIENCE):
                    await run_server(settings, asyncio.Event(), lambda _url: None, seat)
            asyncio.get_running_loop().remove_reader(theirs)

    asyncio.run(scenario())
