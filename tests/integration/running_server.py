"""The whole server on a thread, as `seriesgate server` runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
from tests.e2e.processes import PATIENCE, free_port
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import run_server

if TYPE_CHECKING:
    from collections.abc import Iterator


class RunningServer:
    """A server that was started; `url` is where it answers."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=PATIENCE)
        self._loop = loop
        self._stop = stop

    def stop(self) -> None:
        """Tell it to stop, as SIGTERM does."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def register(self, **fields: Any) -> None:
        answer = self.client.post("/series", json=FIVE_FIELDS | fields)
        assert answer.is_success

    def follow(self, **headers: str) -> contextlib.AbstractContextManager[httpx.Response]:
        return self.client.stream("GET", "/events", headers=headers)


@contextlib.contextmanager
def running_server(database_url: str, **settings: Any) -> Iterator[RunningServer]:
    started: list[RunningServer] = []
    ready = threading.Event()
    all_settings = ServerSettings(database_url=database_url, port=free_port(), **settings)

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def on_ready(url: str) -> None:
            started.append(RunningServer(url, loop, stop))
            ready.set()

        await run_server(all_settings, stop, on_ready)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield started[0]
    finally:
        for server in started:
            server.stop()
        thread.join()
        for server in started:
            server.client.close()


def read_events(response: httpx.Response, count: int) -> list[tuple[int, str, dict[str, Any]]]:
    """Read so many events of a stream: number, kind and data of each."""
    found: list[tuple[int, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
            fields = {}
            if len(found) == count:
                break
    return found
