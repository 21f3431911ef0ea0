"""The real server on a real port, in a thread of the test."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.listener import bind_listener
from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import server_app

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def serving(url: str) -> Iterator[int]:
    """Serve a database from a thread of this process; give the port."""
    with bind_listener("127.0.0.1", 0) as listener:
        app = server_app(ServerSettings(database_url=url))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
