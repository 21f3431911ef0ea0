"""How the HTTP servers stop."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn

from seriesgate.listener import bind_listener
from seriesgate.server.http.connection import HttpConnection
from seriesgate.wiring.uvicorn_server import UvicornServer

#: Far more than the end takes, in seconds.
GRACE = 20


async def no_app(_scope, _receive, _send):
    raise AssertionError("nothing is asked")


def test_connection_that_is_accepted_while_the_server_stops_is_closed_too(caplog):
    """Else its client would be served until the time is up, and then be told 500."""

    async def scenario():
        config = uvicorn.Config(
            no_app,
            log_config=None,
            lifespan="off",
            http=HttpConnection,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        server = UvicornServer(config)
        server.lifespan = config.lifespan_class(config)
        with bind_listener("127.0.0.1", 0) as listener:
            await server.startup(sockets=[listener])
            with socket.create_connection(listener.getsockname()) as client:
                for _step in ("to be told of it", "to accept it", "to make a transport for it"):
                    await asyncio.sleep(0)
                assert not server.server_state.connections, "accepted, and not there yet"
                client.settimeout(GRACE)
                await server.shutdown(sockets=[listener])
                assert client.recv(1) == b""

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert caplog.messages == []
