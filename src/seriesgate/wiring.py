"""Assembly: the only place that knows every concrete class of both programs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.adapters.file_spool import Durability, FileSpool
from seriesgate.adapters.header_scanner import HeaderScanner
from seriesgate.adapters.http_publisher import HttpPublisher
from seriesgate.adapters.listener import address_of, bind_listener
from seriesgate.adapters.memory_journal import MemoryJournal
from seriesgate.adapters.series_header import read_series_description
from seriesgate.adapters.storage_scp import ModalityStoreSCP
from seriesgate.adapters.system_clock import BlockingThread, SystemClock
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.dispatcher import SeriesDispatcher
from seriesgate.gateway.intake import Intake
from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import RetryPolicy
from seriesgate.server.app import create_app
from seriesgate.server.database import open_store
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seriesgate.settings import GatewaySettings, ServerSettings

_log = logging.getLogger(__name__)

# How long a message under way may take to end once the gateway is told to stop, in seconds.
_DRAIN_GRACE = 10.0


async def run_gateway(
    settings: GatewaySettings, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    """Run the gateway until `stop` is set; `on_ready` gets a line that says where it listens.

    Raises SpoolUnusable or ListenError when it can't begin.
    """
    clock = SystemClock()
    spool = FileSpool(settings.state_dir, Durability(settings.durability), HeaderScanner)
    with contextlib.closing(spool), contextlib.closing(BlockingThread("blocking")) as offload:
        loop = asyncio.get_running_loop()
        journal = MemoryJournal()
        intake = Intake(
            spool,
            SeriesCollector(settings.quiet_period),
            HeaderScanner,
            clock,
            wake_closer=lambda: _call_soon(loop, closer.wake),
        )
        publisher = _publisher(settings, clock)
        dispatcher = SeriesDispatcher(
            journal, spool, publisher, RetryPolicy(), clock, offload, random.random
        )
        closer = SeriesCloser(
            intake,
            spool,
            journal,
            read_series_description,
            clock,
            offload,
            dispatcher.deliver,
            settings.gateway_name,
        )
        recovered = await offload(intake.recover)
        if recovered:
            _log.info("%d instances of an earlier run are in the spool and go on", recovered)
        scp = _storage_scp(settings, intake)
        on_ready(f"{settings.ae_title} at {scp.start()}")
        try:
            await _run_until(stop, closer.run(), dispatcher.run())
        finally:
            await asyncio.to_thread(scp.stop, _DRAIN_GRACE)
            await publisher.close()


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(callback)


async def _run_until(stop: asyncio.Event, *forever: asyncio._CoroutineLike[None]) -> None:
    """Run the coroutines until `stop` is set; if one of them fails, so does this."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in forever]
        await stop.wait()
        for task in tasks:
            task.cancel()


def _publisher(settings: GatewaySettings, clock: SystemClock) -> HttpPublisher:
    token = settings.server_token
    return HttpPublisher(
        str(settings.server_url),
        clock.utcnow,
        server_token=token.get_secret_value() if token else None,
    )


def _storage_scp(settings: GatewaySettings, intake: Intake) -> ModalityStoreSCP:
    policy = AcceptorPolicy(
        ae_title=settings.ae_title,
        accept_any_called_ae_title=not settings.check_called_ae_title,
        allowed_calling_ae_titles=frozenset(settings.allowed_calling_ae_titles) or None,
        max_pdu_length=settings.max_pdu_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    return ModalityStoreSCP(
        intake,
        policy,
        host=settings.scp_host,
        port=settings.scp_port,
        max_associations=settings.max_associations,
    )


class _UvicornServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: this program already has one way to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run_server(
    settings: ServerSettings, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    """Run the server until `stop` is set; `on_ready` gets its URL.

    Raises DatabaseUnusable or ListenError when it can't begin.
    """
    listener = bind_listener(settings.host, settings.port)
    with listener:
        config = uvicorn.Config(
            # The app closes the store when it shuts down.
            create_app(open_store(settings.database_url)),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        server = _UvicornServer(config)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            on_ready(f"http://{address_of(listener)}")
            await asyncio.wait(
                [serving, group.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            server.should_exit = True
            stop.set()
