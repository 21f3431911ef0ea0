"""Assembly of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.adapters.http_heartbeats import HttpHeartbeats
from seriesgate.adapters.http_publisher import HttpPublisher
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.adapters.preview.hard_link_shelf import HardLinkShelf
from seriesgate.adapters.preview.worker_process import PreviewWorker
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.state_folder import StateFolder
from seriesgate.adapters.storage_scp import ModalityStoreSCP
from seriesgate.adapters.system_clock import BlockingThread, SystemClock
from seriesgate.adapters.under_way import UnderWayFile
from seriesgate.containment import Unit, contained
from seriesgate.gateway.administration import Administration
from seriesgate.gateway.associations import AssociationRegister
from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.deaths import Deaths
from seriesgate.gateway.dispatcher import SeriesDispatcher
from seriesgate.gateway.heartbeat import GatewayFacts, Heartbeats
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.ports import JournalFailed, SpoolUnavailable
from seriesgate.gateway.previews import PreviewQueue
from seriesgate.gateway.retention import Retention
from seriesgate.gateway.sender_memory import SenderMemory
from seriesgate.gateway.series_reader import SeriesReader
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import RetryPolicy
from seriesgate.startup import MustStop
from seriesgate.tls import client_context, server_context
from seriesgate.upper_layer.negotiation import AcceptorPolicy
from seriesgate.wiring.administration import administered, administration_listener

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Mapping

    from seriesgate.gateway.ports import Clock
    from seriesgate.settings.gateway import GatewaySettings

_log = logging.getLogger(__name__)

# How long a message under way may take to end once the gateway is told to stop, in seconds.
_DRAIN_GRACE = 10.0


async def run_gateway(
    settings: GatewaySettings, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    """Run the gateway until `stop` is set; `on_ready` gets a line that says where it listens.

    Raises CannotStart, and MustStop when the journal fails or the spool cannot be read.
    """
    with (
        contextlib.closing(StateFolder(settings.state_dir)) as folder,
        contextlib.closing(BlockingThread("journal")) as journal_thread,
        contextlib.closing(BlockingThread("files")) as file_thread,
        # Thousands of delivered files may have to go while other series close.
        contextlib.closing(BlockingThread("removal")) as removal_thread,
        contextlib.closing(BlockingThread("administration")) as disk_thread,
        contextlib.closing(UnderWayFile(folder.path / "under-way")) as under_way,
        administration_listener(settings) as admin_listener,
    ):
        scanner_for = HeaderScanners()
        spool = FileSpool(
            folder.path, Durability(settings.durability), scanner_for, settings.min_free_bytes
        )
        journal = await journal_thread(
            SqliteJournal, folder.path / "journal.db", is_expected=folder.had_spool
        )
        try:
            gateway = Gateway(
                settings,
                scanner_for,
                spool,
                journal,
                journal_thread,
                file_thread,
                removal_thread,
                disk_thread,
                await _deaths(journal, journal_thread, under_way),
                SystemClock(),
            )
            async with administered(settings, gateway.administration, admin_listener):
                await gateway.run(stop, on_ready)
        except* (JournalFailed, SpoolUnavailable, MustStop) as failures:
            # Whoever is not told Success keeps its instances; the next start finds all the others.
            raise MustStop(str(_first(failures))) from failures
        finally:
            await journal_thread(journal.close)
            await file_thread(spool.close)


class Gateway:
    """The use cases of one gateway and what they are joined to."""

    def __init__(
        self,
        settings: GatewaySettings,
        scanner_for: HeaderScanners,
        spool: FileSpool,
        journal: SqliteJournal,
        journal_thread: BlockingThread,
        file_thread: BlockingThread,
        removal_thread: BlockingThread,
        disk_thread: BlockingThread,
        deaths: Deaths,
        clock: Clock,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._bulkheads = Bulkheads(clock)
        self._deaths = deaths
        self._settings = settings
        self._file_thread = file_thread
        self._removal_thread = removal_thread
        self._totals = GatewayTotals()
        self._intake = Intake(
            spool,
            SeriesCollector(settings.quiet_period),
            scanner_for,
            clock,
            lambda: _call_soon(loop, self._closer.wake),
            self._totals,
            refuses_strays=settings.strays == "refuse",
        )
        self._retention = Retention(
            journal,
            spool,
            clock,
            journal_thread,
            removal_thread,
            self._bulkheads,
            keep_delivered=settings.keep_delivered,
            remember_delivered=settings.remember_delivered,
        )
        self._publisher = _publisher(settings, clock)
        self._dispatcher = SeriesDispatcher(
            journal,
            self._publisher,
            RetryPolicy(),
            clock,
            journal_thread,
            random.random,
            self._on_delivered,
            self._totals,
            self._bulkheads,
        )
        self._previews = self._preview_queue(settings, spool, clock)
        associations = AssociationRegister(clock)
        self._closer = SeriesCloser(
            self._intake,
            SeriesReader(spool, read_series_description, deaths, self._totals),
            journal,
            clock,
            journal_thread,
            file_thread,
            self._dispatcher.deliver,
            self._retention.wake,
            self._totals,
            settings.gateway_name,
            associations.senders,
            self._bulkheads,
            deaths,
            self._previews,
        )
        self._sender_memory = SenderMemory(
            associations.senders,
            journal,
            clock,
            journal_thread,
            settings.quiet_period,
            self._bulkheads,
        )
        self._scp = _storage_scp(settings, self._intake, associations)
        self.administration = Administration(
            self._intake,
            spool,
            journal,
            self._dispatcher,
            self._retention,
            associations,
            clock,
            journal_thread,
            disk_thread,
            self._totals,
            self._bulkheads,
        )
        self._heartbeats = Heartbeats(
            self.administration,
            HttpHeartbeats(self._publisher, settings.gateway_name),
            clock,
            GatewayFacts(
                settings.heartbeat_period,
                settings.min_free_bytes,
                settings.quiet_period,
                settings.durability,
            ),
            self._bulkheads,
        )

    async def run(self, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
        """Receive, close, deliver and let go until `stop` is set."""
        try:
            await self._sender_memory.recall()
            # Whoever wants to send need not wait until a full spool is read.
            on_ready(f"{self._settings.ae_title} at {self._scp.start()}")
            await _run_until(stop, self.tasks())
        finally:
            self.administration.stopping()
            await asyncio.to_thread(self._scp.stop, _DRAIN_GRACE)
            await self._publisher.close()
        await self._sender_memory.keep()

    def tasks(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        """Return what runs for as long as the gateway does, by name.

        Each contains what goes wrong in a unit of its work; what ends one all the same, ends all.
        """
        tasks = {
            "closer": self._recover_and_close,
            "dispatcher": self._dispatcher.run,
            "retention": self._retention.run,
            "administration": self.administration.run,
            "heartbeats": self._heartbeats.run,
            "sender memory": self._sender_memory.run,
        }
        if self._previews is not None:
            tasks["previews"] = self._previews.run
        return tasks

    def _preview_queue(
        self, settings: GatewaySettings, spool: FileSpool, clock: Clock
    ) -> PreviewQueue | None:
        shelf = HardLinkShelf(settings.state_dir.absolute() / "previews")
        if not settings.previews:
            return None
        renderer = PreviewWorker()
        return PreviewQueue(
            spool,
            shelf,
            renderer,
            self._publisher,
            clock,
            self._file_thread,
            self._removal_thread,
            self._totals,
            self._bulkheads,
        )

    def _on_delivered(self, series_instance_uid: str) -> None:
        if self._previews is not None:
            self._previews.delivered(series_instance_uid)
        self._retention.wake()

    async def _recover_and_close(self) -> None:
        """Close nothing before it is known what an earlier run has received of it."""
        recovered = await self._file_thread(self._intake.recover, self._deaths)
        self.administration.recovered()
        if recovered:
            _log.info("%d instances of an earlier run are in the spool and go on", recovered)
        await self._closer.run()


def _first(error: BaseException) -> BaseException:
    """Return the first error in groups of groups: a person is told of that one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(callback)


async def _run_until(
    stop: asyncio.Event, forever: Mapping[str, Callable[[], Coroutine[None, None, None]]]
) -> None:
    """Run tasks until `stop` is set; if one of them ends, so does this, and says which and why."""

    async def run(name: str, task: Callable[[], Coroutine[None, None, None]]) -> None:
        unit = Unit()
        with contained(unit, (JournalFailed, SpoolUnavailable)):
            await task()
        raise MustStop(f"the {name} ended: {unit.failure or 'nothing was left to do'}")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(name, task)) for name, task in forever.items()]
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _deaths(
    journal: SqliteJournal, journal_thread: BlockingThread, under_way: UnderWayFile
) -> Deaths:
    """Return what earlier runs have died of; count what the last one was doing when it died."""
    if under_way.left is not None:
        await journal_thread(journal.count_death, under_way.left)
    return Deaths(under_way, await journal_thread(journal.deaths))


def _publisher(settings: GatewaySettings, clock: Clock) -> HttpPublisher:
    token = settings.server_token
    return HttpPublisher(
        str(settings.server_url),
        clock.utcnow,
        server_token=token.get_secret_value() if token else None,
        tls=client_context(
            settings.server_ca, settings.server_tls_certificate, settings.server_tls_private_key
        ),
    )


def _tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    return server_context(
        settings.tls_certificate, settings.tls_private_key, settings.tls_client_ca
    )


def acceptor_policy(settings: GatewaySettings) -> AcceptorPolicy:
    """Return how the Storage SCP answers whoever asks for an association."""
    return AcceptorPolicy(
        ae_title=settings.ae_title,
        accept_any_called_ae_title=not settings.check_called_ae_title,
        allowed_calling_ae_titles=frozenset(settings.allowed_calling_ae_titles) or None,
        max_pdu_length=settings.max_pdu_length,
        store_timeout=settings.store_timeout,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )


def _storage_scp(
    settings: GatewaySettings, intake: Intake, associations: AssociationRegister
) -> ModalityStoreSCP:
    return ModalityStoreSCP(
        intake,
        acceptor_policy(settings),
        associations,
        host=settings.scp_host,
        port=settings.scp_port,
        max_associations=settings.max_associations,
        max_associations_per_host=settings.associations_per_host,
        allowed_networks=settings.allowed_networks,
        tls=_tls(settings),
    )
