"""Each task of the server survives whatever goes wrong in one piece of its work.

The tasks are those that the app runs: one that is added has no place in the table, and the first
test fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.e2e.processes import PATIENCE
from tests.unit.server.examples import report

from seriesgate.server.changes import webhook_queue
from seriesgate.server.changes.feed import FEED
from seriesgate.server.sql.housekeeping import HOUSEKEEPING
from seriesgate.server.sql.read import read_changes
from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import server_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

UNEXPECTED = [ValueError, RecursionError, MemoryError, UnicodeError, OverflowError]
CULPRIT, INNOCENT = "1.666", "1.2"
HOOKS = ("culprit", "innocent")


class Site:
    """A server as the wiring joins it, with two webhooks whose receivers take everything."""

    def __init__(self, app: Any) -> None:
        self.app, self.state = app, app.state
        self.told: dict[str, list[str]] = {name: [] for name in HOOKS}
        self.noted: list[str] = []
        for name in HOOKS:
            self.state.webhooks[name].sender.send = self.receiver(name)

    def receiver(self, name: str) -> Callable[[Any], Any]:
        async def send(message: Any) -> None:
            self.told[name].append(message.body.decode())

        return send

    async def register(self, uid: str) -> None:
        await self.state.store.register(report(SeriesInstanceUID=uid))
        self.state.feed.announce()

    def knows(self, name: str, uid: str) -> bool:
        return any(f'"{uid}"' in body for body in self.told[name])

    def remembered(self) -> list[str]:
        """Return the series of which those who follow the feed are told."""
        return [change.series.SeriesInstanceUID for change in self.state.feed._recent]

    def failures(self, task: str) -> float:
        wanted = f'task_failures_total{{task="{task}"}}'
        text = self.state.metrics.exposition().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if wanted in line)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(folder: Path, spoil: Callable[[Site], None]) -> AsyncIterator[Site]:
    hook = {"url": "http://127.0.0.1:9/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    settings = ServerSettings.model_validate(
        {
            "database_url": f"sqlite:///{folder}/series_data.db",
            "webhooks": [{"name": name, **hook} for name in HOOKS],
        }
    )
    app = server_app(settings)
    site = Site(app)
    spoil(site)
    async with app.router.lifespan_context(app):
        yield site


def spoil_webhook(site: Site, fail: Callable[[], None]) -> None:
    sender = site.state.webhooks["culprit"].sender
    send = sender.send

    async def spoiled(message: Any) -> Any:
        if CULPRIT.encode() in message.body:
            fail()
        return await send(message)

    sender.send = spoiled


def spoil_feed(site: Site, fail: Callable[[], None]) -> None:
    changes, latest_change = site.state.store.changes, site.state.store.latest_change

    async def noted() -> int:
        found: int = await latest_change()
        site.noted.append("it follows")
        return found

    async def spoiled(after: int, *, limit: int) -> Any:
        found = await changes(after, limit=limit)
        if any(change.series.SeriesInstanceUID == CULPRIT for change in found):
            fail()
        return found

    site.state.store.changes, site.state.store.latest_change = spoiled, noted


def spoil_housekeeping(site: Site, fail: Callable[[], None]) -> None:
    house = site.state.background_tasks[HOUSEKEEPING].func.__self__
    forget_changes = house.forget_changes

    async def spoiled() -> None:
        fail()

    async def noted() -> None:
        await forget_changes()
        site.noted.append("changes")

    house.forget_webhooks, house.forget_changes = spoiled, noted


#: How to make a piece of each task's work fail, and what shows that the others go on.
FAULTS: dict[str, tuple[Callable[[Site, Callable[[], None]], None], Callable[[Site], bool]]] = {
    FEED: (spoil_feed, lambda site: site.remembered() == [INNOCENT]),
    "webhook culprit": (
        spoil_webhook,
        lambda site: site.knows("culprit", INNOCENT) and site.knows("innocent", CULPRIT),
    ),
    HOUSEKEEPING: (spoil_housekeeping, lambda site: site.noted == ["changes"]),
}


def test_each_task_of_the_app_is_in_the_table(tmp_path):
    async def scenario():
        async with running(tmp_path, lambda _site: None) as site:
            assert site.state.background_tasks.keys() == {*FAULTS, "webhook innocent"}

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", UNEXPECTED)
@pytest.mark.parametrize("task", FAULTS)
def test_piece_of_work_that_fails_harms_no_other(tmp_path, caplog, task, kind):
    spoil, goes_on = FAULTS[task]

    def fail() -> None:
        raise kind("Doe^Jane")

    async def scenario():
        async with running(tmp_path, lambda site: spoil(site, fail)) as site:
            await site.until(lambda: task != FEED or "it follows" in site.noted)
            for uid in (CULPRIT, INNOCENT):
                await site.register(uid)
            await site.until(lambda: site.failures(task) >= 1 and goes_on(site))
            assert site.state.background.ended() == {}
            if task == "webhook culprit":
                await check_dead_letter(site, kind)

    asyncio.run(scenario())
    assert "Doe" not in caplog.text
    assert kind.__name__ in caplog.text


async def check_dead_letter(site: Site, kind: type[Exception]) -> None:
    queue = site.state.webhooks["culprit"].queue
    async with asyncio.timeout(PATIENCE):
        while True:
            letters = await queue.dead_letters("culprit", limit=10)
            if letters:
                break
            await asyncio.sleep(0.005)
    (letter,) = letters
    assert letter.series_instance_uid == CULPRIT
    assert letter.reason.startswith(f"internal error: {kind.__name__} at ")
    assert (await queue.state("innocent")).dead == 0


@pytest.mark.parametrize("kind", UNEXPECTED)
def test_change_that_cannot_be_read_is_a_dead_letter_and_the_others_go_out(
    tmp_path, monkeypatch, kind
):
    read = read_changes

    def spoiled(connection: Any, after: int, limit: int) -> Any:
        found = read(connection, after, limit)
        if any(change.series.SeriesInstanceUID == CULPRIT for change in found):
            raise kind("Doe^Jane")
        return found

    monkeypatch.setattr(webhook_queue, "read_changes", spoiled)

    async def scenario():
        async with running(tmp_path, lambda _site: None) as site:
            for uid in (CULPRIT, INNOCENT):
                await site.register(uid)
            await site.until(lambda: all(site.knows(name, INNOCENT) for name in HOOKS))
            for name in HOOKS:
                (letter,) = await site.state.webhooks[name].queue.dead_letters(name, limit=10)
                assert letter.reason.startswith(f"internal error: {kind.__name__} at ")

    asyncio.run(scenario())


def test_task_that_ends_all_the_same_is_seen(tmp_path, caplog):
    async def fail(*_: Any) -> None:
        raise ValueError("Doe^Jane")

    def spoil(site: Site) -> None:
        site.state.background_tasks[FEED] = fail

    async def scenario():
        async with running(tmp_path, spoil) as site:
            await site.until(lambda: bool(site.state.background.ended()))
            (reason,) = site.state.background.ended().values()
            assert reason.startswith("ValueError at test_server_bulkheads.py:")
            assert site.failures(FEED) == 1
            transport = httpx.ASGITransport(app=site.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert f"{FEED} has ended, restart the server" in answer.json()["detail"]

    asyncio.run(scenario())
    assert f"{FEED} has ended, restart the server: ValueError" in caplog.text
    assert "Doe" not in caplog.text
