"""Sees every request and its answer: for the metrics, and for the access log if there is one."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from seriesgate.server.http.metrics import ServerMetrics

_UNKNOWN = "unknown"
_INTERNAL_SERVER_ERROR = 500

access_log = logging.getLogger("seriesgate.access")


class ObservationMiddleware:
    """Counts requests, and with `log` writes a line for each.

    Of the path only the pattern of the route is told, and nothing of the query: both may name a
    patient.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, *, log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = perf_counter()
        status = _INTERNAL_SERVER_ERROR  # if nothing is answered at all

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = perf_counter() - begin
            route = getattr(scope.get("route"), "path_format", _UNKNOWN)
            self._metrics.request(scope["method"], route, status, seconds)
            if self._log:
                _write_line(scope, route, status, seconds)


def _write_line(scope: Scope, route: str, status: int, seconds: float) -> None:
    # Starlette's state of the request; routes.access puts the grant there.
    grant = scope.get("state", {}).get("grant")
    fields = {
        "client": scope["client"][0] if scope.get("client") else "",
        "token": grant.name if grant else "",
        "method": scope["method"] if scope["method"].isalpha() else "?",
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
    }
    access_log.info(
        "%(client)s %(token)s %(method)s %(route)s %(status)d %(milliseconds).2f ms",
        fields,
        extra=fields,
    )
