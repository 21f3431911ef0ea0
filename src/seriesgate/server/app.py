"""The server's HTTP API, put together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from seriesgate import __version__
from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.changes import event_stream
from seriesgate.server.changes.feed import ChangeFeed
from seriesgate.server.http import body_limit
from seriesgate.server.http.body_limit import BodyLimitMiddleware
from seriesgate.server.http.cors import CorsMiddleware
from seriesgate.server.http.exception_handlers import add_exception_handlers
from seriesgate.server.http.head import HeadMiddleware
from seriesgate.server.http.host_names import HostNames
from seriesgate.server.http.observation import ObservationMiddleware
from seriesgate.server.http.response_headers import ResponseHeadersMiddleware
from seriesgate.server.http.whole_segments import WholeSegmentsMiddleware
from seriesgate.server.routes import (
    dashboard,
    deletion,
    description,
    events,
    gateways,
    health,
    preview,
    qido,
    repair,
    series,
    session,
    summaries,
)
from seriesgate.server.routes import metrics as metrics_routes
from seriesgate.server.routes import tokens as tokens_routes
from seriesgate.server.routes import webhooks as webhooks_routes
from seriesgate.server.routes.openapi import DescribedApp
from seriesgate.server.sql.opening import utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from seriesgate.server.access.authentication import Authentication
    from seriesgate.server.access.sessions import SessionStore
    from seriesgate.server.access.tokens import TokenStore
    from seriesgate.server.changes.webhooks import WebhookDispatcher
    from seriesgate.server.http.metrics import ServerMetrics
    from seriesgate.server.registry.gateways import GatewayStore
    from seriesgate.server.registry.store import SeriesStore
    from seriesgate.server.sql.housekeeping import Housekeeping

_ROUTERS = (
    series.registration_router,
    # Before the series: a SeriesInstanceUID may have a slash, as that of a peer may be anything.
    preview.router,
    repair.router,
    series.router,
    deletion.router,
    summaries.router,
    events.router,
    qido.router,
    gateways.router,
    webhooks_routes.router,
    health.router,
    tokens_routes.router,
    metrics_routes.router,
    description.router,
    session.router,
    dashboard.router,
)
_FEED = "change feed"
MAX_BODY_BYTES = 2**20
BODY_TIMEOUT = 30.0


class _App(DescribedApp):
    def build_middleware_stack(self) -> ASGIApp:
        """Put ours around Starlette's outermost layer too: it answers what nobody expected."""
        return WholeSegmentsMiddleware(
            ObservationMiddleware(
                ResponseHeadersMiddleware(
                    CorsMiddleware(
                        HeadMiddleware(super().build_middleware_stack()),
                        self.state.qido_origins,
                        f"{qido.router.prefix}/",
                    )
                ),
                self.state.metrics,
                log=self.state.log_requests,
            )
        )


def create_app(
    store: SeriesStore,
    tokens: TokenStore,
    sessions: SessionStore,
    gateway_store: GatewayStore,
    authentication: Authentication,
    metrics: ServerMetrics,
    *,
    webhooks: Sequence[WebhookDispatcher] = (),
    housekeeping: Housekeeping | None = None,
    bulkheads: Bulkheads | None = None,
    allowed_hosts: Sequence[str] = (),
    qido_origins: Sequence[str] = (),
    log_requests: bool = False,
    clock: Callable[[], datetime] = utc_now,
    max_body_bytes: int = MAX_BODY_BYTES,
    body_timeout: float = BODY_TIMEOUT,
) -> FastAPI:
    """Give the app that serves `store`. It owns the store: the end of its lifespan closes it.

    `authentication` lets requests in; `tokens` is where an administrator makes what it asks for,
    `sessions` where browsers begin and end theirs, `gateway_store` where
    heartbeats go. `metrics` counts; `webhooks` and `housekeeping` run while the app does,
    and `bulkheads` contain what goes wrong in them, as in all that runs so long;
    `allowed_hosts` are as for HostNames, `qido_origins` as for CorsMiddleware; with `log_requests`
    there is a line in the log for each request. `clock` gives aware times. `max_body_bytes` and
    `body_timeout` (seconds) bound each request's body.
    """
    bulkheads = bulkheads or Bulkheads(metrics.task_failures)
    feed = ChangeFeed(store, bulkheads.task(_FEED))
    bulkheads.task(event_stream.TASK)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as at_the_end:  # each of it, whatever becomes of the others
            at_the_end.push_async_callback(store.close)
            for each in webhooks:
                await each.begin()
                at_the_end.push_async_callback(each.sender.close)
            tasks = bulkheads.run(app.state.tasks)
            try:
                yield
            finally:
                feed.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    app = _App(
        title="seriesgate",
        summary="Keeps one row for each DICOM series that was received.",
        version=__version__,
        lifespan=lifespan,
        # The pages that FastAPI would serve load their scripts from elsewhere, into an origin
        # that has patient data.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # routes.description has it, for those who may use the API
        redirect_slashes=False,
        # FastAPI can export URLs and errors of requests, and both may name a patient.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.store = store
    app.state.tokens = tokens
    app.state.sessions = sessions
    app.state.gateways = gateway_store
    app.state.authentication = authentication
    app.state.hosts = HostNames(allowed_hosts)
    app.state.qido_origins = tuple(qido_origins)
    app.state.clock = clock
    app.state.metrics = metrics
    app.state.log_requests = log_requests
    app.state.feed = feed
    app.state.streams = events.Streams()
    app.state.bulkheads = bulkheads
    # What runs for as long as the app does, by name.
    app.state.tasks = {_FEED: feed.run} | {each.task: partial(each.run, feed) for each in webhooks}
    if housekeeping is not None:
        app.state.tasks["housekeeping"] = housekeeping.run
    app.state.webhooks = {each.sender.target.name: each for each in webhooks}
    for router in _ROUTERS:
        # Not include_router: it keeps the router, and every request is then matched twice.
        app.router.routes.extend(router.routes)
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=max_body_bytes,
        timeout=body_timeout,
        bulkhead=bulkheads.task(body_limit.TASK),
    )
    add_exception_handlers(app)
    return app
