"""Each long task of the gateway survives whatever goes wrong in one unit of its work.

The tasks are those that the wiring runs: one that is added has no place in the table, and the first
test fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, encode, mr_instance
from tests.e2e.processes import PATIENCE
from tests.fakes import FakeClock, ScriptedPublisher

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.system_clock import BlockingThread
from seriesgate.gateway.deaths import NO_DEATHS
from seriesgate.gateway.intake import Stored
from seriesgate.gateway.ports import StoreRequest
from seriesgate.series.heartbeat import HeartbeatAnswer
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.wiring.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CULPRIT, INNOCENT = "1.666", "1.2"
UNEXPECTED = [ValueError, RecursionError, MemoryError, UnicodeError, OverflowError]


class Heart:
    """Implements `HeartbeatReceiver`."""

    beats = 0

    async def beat(self, _heartbeat: Any) -> HeartbeatAnswer:
        self.beats += 1
        return HeartbeatAnswer()


class Pictures:
    """Implements `PreviewRenderer` and `PreviewPublisher`."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def render(self, _path: Path) -> bytes:
        return b"picture"

    async def rest(self) -> None:
        pass

    async def publish_preview(self, series_instance_uid: str, _picture: bytes) -> None:
        self.published.append(series_instance_uid)


class Site:
    """A gateway as the wiring joins it, with a server that takes everything."""

    def __init__(self, gateway: Any, clock: FakeClock, spool: FileSpool) -> None:
        self.gateway = gateway
        self.clock = clock
        self.spool = spool
        self.server = ScriptedPublisher()
        self.heart = Heart()
        self.pictures = Pictures()
        gateway._dispatcher._publisher = self.server
        gateway._heartbeats._receiver = self.heart
        gateway._previews._renderer = gateway._previews._publisher = self.pictures

    def receive(self, series: str) -> None:
        request = StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, f"{series}.1")
        reception = self.gateway._intake.begin(request)
        reception.write(encode(mr_instance(f"{series}.1", series)))
        assert reception.finish() == Stored()
        reception.answered()

    def registered(self) -> set[str]:
        return {delivery.report.SeriesInstanceUID for delivery in self.server.published}

    def files(self) -> int:
        return sum(1 for _ in self.spool.recover())

    def aside(self) -> list[str]:
        return [unit.task for unit in self.gateway.administration.aside()]

    async def until(self, condition: Callable[[], bool], step: float = 0.5) -> None:
        """Let time pass until it is so; the threads beside the loop have a time of their own."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.clock.advance(step)
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def site_in(folder: Path) -> AsyncIterator[Site]:
    settings = GatewaySettings(state_dir=folder, durability="process", heartbeat_period=60.0)
    scanner_for, clock = HeaderScanners(), FakeClock()
    spool = FileSpool(folder, Durability.PROCESS, scanner_for)
    journals, files, removal, disk = threads = [BlockingThread(name) for name in "jfrd"]
    journal = await journals(SqliteJournal, folder / "journal.db", is_expected=False)
    gateway = Gateway(
        *(settings, scanner_for, spool, journal, journals, files, removal, disk),
        *(NO_DEATHS, clock),
    )
    site = Site(gateway, clock, spool)
    publisher = gateway._publisher
    tasks = [asyncio.create_task(task()) for task in gateway.tasks().values()]
    try:
        yield site
        assert [task for task in tasks if task.done()] == [], "a task has ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await publisher.close()
        await journals(journal.close)
        for thread in threads:
            thread.close()
        spool.close()


class Fault(NamedTuple):
    """How to make one unit of a task raise, what it is called, and what shows that others go on."""

    task: str
    spoil: Callable[[Site, Callable[[], None]], Callable[[], None]]
    goes_on: Callable[[Site], bool]
    is_mended: Callable[[Site], bool]


def replaced(owner: Any, name: str, spoiled: Callable[..., Any]) -> Callable[[], None]:
    """Put something else in the place of a method; return what undoes it."""
    setattr(owner, name, spoiled)
    return lambda: delattr(owner, name)


def for_the_culprit(owner: Any, name: str, fail: Callable[[], None]) -> Callable[[], None]:
    """Have a method fail whose first argument is, or names, one series."""
    original = getattr(owner, name)

    def spoiled(first: Any, *others: Any) -> Any:
        uid = first
        if hasattr(first, "report"):
            uid = first.report.SeriesInstanceUID
        elif hasattr(first, "series_instance_uid"):
            uid = first.series_instance_uid
        if uid == CULPRIT:
            fail()
        return original(first, *others)

    return replaced(owner, name, spoiled)


def always(owner: Any, name: str, fail: Callable[[], None]) -> Callable[[], None]:
    return replaced(owner, name, lambda *_: fail())


FAULTS = {
    "closer": Fault(
        "closing of a series",
        lambda site, fail: for_the_culprit(site.gateway._closer._reader, "checked", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: CULPRIT in site.registered(),
    ),
    "dispatcher": Fault(
        "delivery",
        lambda site, fail: for_the_culprit(site.server, "publish", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: CULPRIT in site.registered(),
    ),
    "retention": Fault(
        "removal of files",
        lambda site, fail: for_the_culprit(site.spool, "release", fail),
        lambda site: site.files() == 1,
        lambda site: site.files() == 0,
    ),
    "previews": Fault(
        "preview",
        lambda site, fail: for_the_culprit(site.pictures, "publish_preview", fail),
        lambda site: INNOCENT in site.pictures.published,
        lambda site: CULPRIT in site.pictures.published,
    ),
    "heartbeats": Fault(
        "heartbeat",
        lambda site, fail: always(site.heart, "beat", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: site.heart.beats > 0,
    ),
    "sender memory": Fault(
        "memory of senders",
        lambda site, fail: always(site.gateway._sender_memory._journal, "keep_senders", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: "memory of senders" not in site.aside(),
    ),
    "administration": Fault(
        "summing up of refusals",
        lambda site, fail: always(
            site.gateway.administration._associations, "log_repetitions", fail
        ),
        lambda site: INNOCENT in site.registered(),
        lambda site: "summing up of refusals" not in site.aside(),
    ),
}


def test_each_task_of_the_wiring_is_in_the_table(tmp_path):
    async def scenario():
        async with site_in(tmp_path) as site:
            assert site.gateway.tasks().keys() == FAULTS.keys()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", UNEXPECTED)
@pytest.mark.parametrize("task", FAULTS)
def test_unit_that_fails_is_put_aside_and_the_others_go_on(tmp_path, caplog, task, kind):
    fault = FAULTS[task]

    def fail() -> None:
        raise kind("Doe^Jane")

    async def scenario():
        async with site_in(tmp_path) as site:
            mend = fault.spoil(site, fail)
            for uid in (CULPRIT, INNOCENT):
                site.receive(uid)
            await site.until(lambda: fault.task in site.aside() and fault.goes_on(site), 5.0)
            status = await site.gateway.administration.status()
            assert status.put_aside[fault.task] >= 1
            assert status.instances.acknowledged == 2
            assert status.instances.adds_up
            mend()
            site.gateway.administration.retry_all_aside()
            await site.until(lambda: fault.is_mended(site) and not site.aside(), 5.0)

    asyncio.run(scenario())
    assert "Doe" not in caplog.text
    assert kind.__name__ in caplog.text
