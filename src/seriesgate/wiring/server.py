"""Assembly of the server."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.listener import address_of, bind_listener
from seriesgate.series.delivery import RetryPolicy
from seriesgate.server.access.authentication import Authentication
from seriesgate.server.access.failure_limit import FailureLimit
from seriesgate.server.access.tokens import Grant, Scope, token_digest
from seriesgate.server.app import create_app
from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.changes.webhook_queue import WebhookQueue
from seriesgate.server.changes.webhooks import WebhookDispatcher, WebhookSender, WebhookTarget
from seriesgate.server.http.connection import HttpConnection
from seriesgate.server.http.metrics import ServerMetrics
from seriesgate.server.sql.gateways import SqlGatewayStore
from seriesgate.server.sql.housekeeping import Housekeeping
from seriesgate.server.sql.opening import open_store, utc_now
from seriesgate.server.sql.sessions import SqlSessionStore
from seriesgate.server.sql.tokens import SqlTokenStore
from seriesgate.settings.section import is_loopback
from seriesgate.startup import CannotStart, MustStop
from seriesgate.tls import server_context
from seriesgate.webhook_secret import signing_key
from seriesgate.wiring.uvicorn_server import BACKLOG, UvicornServer
from seriesgate.wiring.worker_seat import Neighbours

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from fastapi import FastAPI

    from seriesgate.settings.server import ServerSettings, ServerToken, ServerWebhook
    from seriesgate.wiring.worker_seat import WorkerSeat

# How long a request under way may take to end once the server is told to stop, in seconds.
_DRAIN_GRACE = 10
_KEEP_ALIVE = 75
# What workers tell each other: the address that has shown a wrong token; that tokens have changed.
_FAILURE = "failure"
_TOKENS = "tokens"


async def run_server(
    settings: ServerSettings,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
    seat: WorkerSeat | None = None,
) -> None:
    """Run the server until `stop` is set; `on_ready` gets its URL. With a `seat`: run one worker.

    Raises CannotStart, and MustStop for a worker one of whose tasks has ended.
    """
    tls = _tls(settings)
    with seat.listener if seat else bind_listener(settings.host, settings.port) as listener:
        app = server_app(settings, seat=seat)
        await refuse_without_tokens(app, settings)
        backlog = 1 if seat else BACKLOG
        server = UvicornServer(_configuration(app, settings, tls, backlog))
        # A hundred thousand objects that stay: to look through them again and again for what is
        # garbage would stop the server for 80 ms each time.
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            on_ready(f"{'https' if tls else 'http'}://{address_of(listener)}")
            an_end = group.create_task(_end_of_a_worker(app, seat))
            ends = [serving, group.create_task(stop.wait()), an_end]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            app.state.feed.close()  # the streams would not end by themselves
            server.should_exit = True
            stop.set()
            an_end.cancel()
        if not an_end.cancelled():
            raise MustStop(an_end.result())


async def _end_of_a_worker(app: FastAPI, seat: WorkerSeat | None) -> str:
    """Wait until a task of a worker has ended, and return why: its parent starts another.

    Who runs the server alone sees at /readyz that a task has ended, and it serves on what it can.
    """
    if seat is None:
        await asyncio.Event().wait()
    bulkheads: Bulkheads = app.state.bulkheads
    return await bulkheads.wait_for_an_end()


def server_app(settings: ServerSettings, *grants: Grant, seat: WorkerSeat | None = None) -> FastAPI:
    """Return the app, whose shutdown closes the database. Raises CannotStart.

    `grants` are good besides those of the settings and of the database. The app of a worker has a
    `seat`, and is made on its event loop.
    """
    metrics = ServerMetrics(seat.metrics if seat else None)
    bulkheads = Bulkheads(metrics.task_failures)
    store = open_store(
        settings.database_url,
        connections=settings.database_connections,
        bulkheads=bulkheads,
        observe=metrics.transaction,
    )
    tokens = SqlTokenStore(store.database, utc_now)
    sessions = SqlSessionStore(store.database)
    neighbours = Neighbours(seat.link, bulkheads.task("messages of workers")) if seat else None
    tell = neighbours.tell if neighbours else _tell_nobody
    failure_limit = FailureLimit(time.monotonic, tell=partial(tell, _FAILURE))
    authentication = Authentication(
        tokens,
        sessions,
        failure_limit,
        time.monotonic,
        utc_now,
        fixed=[*grants, *(_grant(token) for token in settings.tokens)],
        always=not is_loopback(settings.host),
        tell_change=partial(tell, _TOKENS),
    )
    if neighbours is not None:
        neighbours.listen(
            {
                _FAILURE: failure_limit.heard_of,
                _TOKENS: lambda _subject: authentication.forget(),
            }
        )
    return create_app(
        store,
        tokens,
        sessions,
        SqlGatewayStore(store.database),
        authentication,
        metrics,
        webhooks=[
            _webhook(webhook, WebhookQueue(store.database), bulkheads)
            for webhook in settings.webhooks
        ],
        housekeeping=Housekeeping(
            store.database,
            utc_now,
            timedelta(seconds=settings.keep_changes),
            [webhook.name for webhook in settings.webhooks],
            keep_series=(
                None if settings.keep_series is None else timedelta(seconds=settings.keep_series)
            ),
            deleted=metrics.deleted,
            bulkheads=bulkheads,
        ),
        bulkheads=bulkheads,
        qido_origins=settings.qido_origins,
        allowed_hosts=settings.allowed_hosts,
        log_requests=settings.access_log,
    )


def _tell_nobody(_word: str, _subject: str = "") -> None:
    """Tell the other workers, where there are none."""


def _webhook(
    settings: ServerWebhook, queue: WebhookQueue, bulkheads: Bulkheads
) -> WebhookDispatcher:
    key = signing_key(settings.secret.get_secret_value())
    sender = WebhookSender(WebhookTarget(settings.name, str(settings.url), key), utc_now)
    return WebhookDispatcher(sender, queue, RetryPolicy(), utc_now, random.random, bulkheads)


async def refuse_without_tokens(app: FastAPI, settings: ServerSettings) -> None:
    """Raise CannotStart, and close the database, where others would get in without a token."""
    if is_loopback(settings.host):
        return
    authentication: Authentication = app.state.authentication
    if not await authentication.is_possible():
        await app.state.store.close()
        raise CannotStart(
            f"host {settings.host} can be reached by others, and there is no token yet: make one "
            "with `seriesgate token create NAME --scope register --scope read`, or set "
            "server.tokens"
        )


def _grant(token: ServerToken) -> Grant:
    scopes = frozenset(Scope(name) for name in token.scopes)
    return Grant(token.name, token_digest(token.token.get_secret_value()), scopes)


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    return server_context(
        settings.tls_certificate, settings.tls_private_key, settings.tls_client_ca
    )


def _configuration(
    app: FastAPI, settings: ServerSettings, tls: ssl.SSLContext | None, backlog: int
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        # uvicorn calls it with keywords, as it does its own.
        http=partial(HttpConnection, share=settings.max_connections_per_address),  # type: ignore[arg-type]
        ws="none",
        backlog=backlog,
        limit_concurrency=settings.max_connections,
        # Longer than our gateway keeps a connection (60 s): the side that sends shall close it, or
        # a report may be on its way when it closes.
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_DRAIN_GRACE,
        # In place of uvicorn's own, which leaves old ciphers in.
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
