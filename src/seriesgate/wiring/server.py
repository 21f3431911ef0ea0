"""Assembly of the server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.listener import address_of, bind_listener
from seriesgate.server.app import create_app
from seriesgate.server.database import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seriesgate.settings import ServerSettings


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

    Raises CannotStart.
    """
    listener = bind_listener(settings.host, settings.port)
    with listener:
        config = uvicorn.Config(
            # The app closes the store when it shuts down.
            create_app(
                open_store(settings.database_url, connections=settings.database_connections)
            ),
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
