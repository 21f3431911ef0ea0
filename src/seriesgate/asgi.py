"""The server for an ASGI server of your own: `uvicorn seriesgate.asgi:app`.

The settings are those of `seriesgate server`. They are read, and the database is opened, when the
ASGI server starts the app, not when this module is imported: what is wrong then is one line in its
log. What only our own launcher can bound is on the page `docs/how-to/asgi.md`.
"""

from __future__ import annotations

import logging
import signal
import threading
from asyncio import get_running_loop
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.json_log import configure_logging
from seriesgate.server.http.problem import problem_response
from seriesgate.settings.loading import SettingsError, load_settings
from seriesgate.settings.section import is_loopback
from seriesgate.startup import CannotStart
from seriesgate.wiring.server import refuse_without_tokens, server_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from seriesgate.settings.server import ServerSettings

# Settings that are for our own launcher, without meaning here.
_OF_THE_LAUNCHER = (
    "port",
    "workers",
    "max_connections",
    "max_connections_per_address",
    "trusted_proxies",
)

_log = logging.getLogger(__name__)


class AsgiServer:
    """An ASGI app that becomes the server with its lifespan. `load` gives the settings.

    `load` may raise SettingsError.
    """

    def __init__(self, load: Callable[[], ServerSettings]) -> None:
        self._load = load
        self._app: FastAPI | None = None
        self._is_local = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is None:
            _log.error("the app was not started: have the ASGI server run its lifespan")
            detail = "the server was not started as it must be; its log says more"
            await problem_response(HTTPStatus.SERVICE_UNAVAILABLE, detail)(scope, receive, send)
        elif self._is_local and not _came_from_this_machine(scope):
            detail = (
                "this server is for its own machine alone; others need server.host, and a token"
            )
            await problem_response(HTTPStatus.FORBIDDEN, detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await self._start()
        except (SettingsError, CannotStart) as error:
            await receive()
            line = "; ".join(str(error).splitlines())
            await send({"type": "lifespan.startup.failed", "message": f"seriesgate: {line}"})
            return
        self._app = app
        with _hearing_of_the_end(app.state.feed.close):
            await app(scope, receive, send)

    async def _start(self) -> FastAPI:
        settings = self._load()
        configure_logging(settings.log_format)
        # It writes the path and the query of each request, and both may name a patient.
        logging.getLogger("uvicorn.access").disabled = True
        if settings.tls_certificate is not None:
            raise CannotStart(
                "server.tls_certificate is for `seriesgate server`: leave it out, and give the "
                "certificate to the ASGI server (uvicorn: --ssl-certfile, --ssl-keyfile)"
            )
        unused = [name for name in _OF_THE_LAUNCHER if name in settings.model_fields_set]
        if unused:
            _log.warning(
                "settings that do nothing under this ASGI server, which has options instead: %s",
                ", ".join(f"server.{name}" for name in unused),
            )
        self._is_local = is_loopback(settings.host)
        app = server_app(settings)
        await refuse_without_tokens(app, settings)
        return app


def _came_from_this_machine(scope: Scope) -> bool:
    """Return whether a connection came to an address that no other machine can reach."""
    address = scope.get("server")
    if address is None or address[1] is None:  # a Unix socket
        return True
    return is_loopback(address[0])


@contextmanager
def _hearing_of_the_end(end: Callable[[], None]) -> Iterator[None]:
    """Within this block, call `end` first when a signal tells the process to stop.

    An ASGI server waits for its connections before it tells the app to end, and the streams of
    events would not end by themselves.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are not for us then
        yield
        return
    loop = get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        following = before[signal.Signals(number)]
        if callable(following):
            following(number, frame)

    heard = [number for number, handler in before.items() if callable(handler)]
    for number in heard:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


app = AsgiServer(lambda: load_settings().server)
