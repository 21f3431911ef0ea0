"""A gateway as the wiring joins it, without sockets, with a clock that only a test moves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

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

    from seriesgate.gateway.intake import StoreOutcome
    from seriesgate.series.report import Series


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

    def receive(self, series: str, transfer_syntax_uid: str = EXPLICIT_LE) -> None:
        """Receive an instance with which nothing is wrong."""
        sop = f"{series}.1"
        data_set = encode(mr_instance(sop, series), transfer_syntax_uid)
        assert self.take(data_set, transfer_syntax_uid, sop) == Stored()

    def take(self, data_set: bytes, transfer_syntax_uid: str, sop: str) -> StoreOutcome:
        """Receive any bytes; return what the peer is told."""
        request = StoreRequest("MODALITY", transfer_syntax_uid, MR_IMAGE_STORAGE, sop)
        reception = self.gateway._intake.begin(request)
        reception.write(data_set)
        outcome: StoreOutcome = reception.finish()
        reception.answered()
        return outcome

    def reports(self) -> list[Series]:
        return [delivery.report for delivery in self.server.published]

    def registered(self) -> set[str]:
        return {report.SeriesInstanceUID for report in self.reports()}

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
    """Run a gateway on a folder, where an earlier one may have been. No task may end by itself."""
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
