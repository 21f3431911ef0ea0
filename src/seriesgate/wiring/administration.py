"""Assembly of the gateway's administration."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.adapters.admin.app import create_admin_app
from seriesgate.listener import ListenError, bind_listener
from seriesgate.server.http.connection import HttpConnection
from seriesgate.settings.section import is_loopback
from seriesgate.startup import CannotStart
from seriesgate.wiring.uvicorn_server import UvicornServer

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from seriesgate.gateway.administration import Administration
    from seriesgate.settings.gateway import GatewaySettings

# How long a request may take to end once the gateway stops, in seconds; and how many connections
# there may be at a time.
_DRAIN_GRACE = 2
_MAX_CONNECTIONS = 64


def administration_listener(settings: GatewaySettings) -> socket.socket:
    """Return the socket that the administration listens on. Raises CannotStart."""
    try:
        return bind_listener(settings.admin_host, settings.admin_port)
    except ListenError as error:
        raise CannotStart(
            f"the administration {error} (gateway.admin_host, gateway.admin_port, --admin-port)"
        ) from error


@contextlib.asynccontextmanager
async def administered(
    settings: GatewaySettings, administration: Administration, listener: socket.socket
) -> AsyncIterator[None]:
    """Serve the administration, to the very end: also of a gateway that drains."""
    token = settings.admin_token
    app = create_admin_app(
        administration,
        token=token.get_secret_value() if token else None,
        is_local=is_loopback(settings.admin_host),
    )
    server = UvicornServer(
        uvicorn.Config(
            app,
            http=HttpConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_DRAIN_GRACE,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
