"""The server under an ASGI server of somebody's own: `uvicorn seriesgate.asgi:app`."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.e2e.processes import PATIENCE, Process, free_port
from tests.integration.running_server import read_events
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.asgi import AsgiServer
from seriesgate.settings.server import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

SAID_SO = 3  # uvicorn's exit code for an app that does not start


def uvicorn(folder: Path, port: int, *options: str, **environment: str) -> Process:
    return Process(
        *(sys.executable, "-m", "uvicorn", "seriesgate.asgi:app", f"--port={port}", *options),
        cwd=folder,
        env=environment,
    )


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[tuple[Process, str]]:
    port = free_port()
    process = uvicorn(folder, port, *options, **environment)
    try:
        process.wait_for("Uvicorn running")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def test_uvicorn_serves_the_app_with_the_same_settings_and_stops_with_an_open_stream(tmp_path):
    (tmp_path / "seriesgate.toml").write_text('[server]\ndatabase_url = "sqlite:///here.db"\n')
    with served(tmp_path) as (process, url):
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            assert client.post("/series", json=FIVE_FIELDS).status_code == 201
            assert client.get("/series?PatientID=no-one").json()["series"] == []
            with client.stream("GET", "/events?after=0") as response:
                assert read_events(response, 1)[0][1] == "created"
                process.signal(signal.SIGTERM)
                assert process.wait() in {0, -signal.SIGTERM}
        assert (tmp_path / "here.db").exists()
        # uvicorn's own line for each request would have named the patient.
        assert not any("no-one" in line or "Traceback" in line for line in process.output)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SERIESGATE_SERVER__PORTT": "9"}, r"seriesgate: server\.portt: there is no such setting"),
        ({"SERIESGATE_SERVER__HOST": "0.0.0.0"}, "there is no token yet: make one"),
        ({"SERIESGATE_SERVER__DATABASE_URL": "mysql://x"}, "no database of kind 'mysql'"),
        (
            {
                "SERIESGATE_SERVER__TLS_CERTIFICATE": "a.pem",
                "SERIESGATE_SERVER__TLS_PRIVATE_KEY": "b.pem",
            },
            "give the certificate to the ASGI server",
        ),
    ],
)
def test_what_is_wrong_with_the_settings_is_one_line(tmp_path, environment, said):
    process = uvicorn(tmp_path, free_port(), **environment)
    try:
        process.wait_for(said)
        assert process.wait() == SAID_SO
    finally:
        process.stop()
    assert not any("Traceback" in line for line in process.output)


async def ask(app: AsgiServer, address: str | None) -> int:
    """Ask for the totals over a connection that came to `address`; return the status."""
    sent: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            sent.append(int(str(message["status"])))

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/stats",
        "raw_path": b"/stats",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "scheme": "http",
        "client": ("127.0.0.1", 4),
        "server": None if address is None else (address, 80),
    }
    await app(scope, receive, send)
    return sent[0]


async def started(app: AsgiServer, *questions: str | None) -> list[int]:
    """Live through the lifespan of the app; return the statuses of the answers meanwhile."""
    come: asyncio.Queue[str] = asyncio.Queue()
    said: asyncio.Queue[str] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        return {"type": await come.get()}

    async def send(message: MutableMapping[str, Any]) -> None:
        await said.put(str(message["type"]))

    living = asyncio.ensure_future(app({"type": "lifespan"}, receive, send))
    await come.put("lifespan.startup")
    assert await said.get() == "lifespan.startup.complete"
    statuses = [await ask(app, each) for each in questions]
    await come.put("lifespan.shutdown")
    await living
    return statuses


def app_of(folder: Path, **settings: Any) -> AsgiServer:
    url = f"sqlite:///{folder}/a.db"
    return AsgiServer(lambda: ServerSettings(database_url=url, **settings))


def test_server_of_this_machine_refuses_what_came_to_an_address_of_others(tmp_path):
    statuses = asyncio.run(started(app_of(tmp_path), "10.0.0.1", "127.0.0.1", "::1", None))
    assert statuses == [403, 200, 200, 200]


def test_server_that_others_may_reach_asks_for_a_token_instead(tmp_path):
    token = {"token": "a-token-of-a-good-length"}
    app = app_of(tmp_path, host="0.0.0.0", tokens=(token,))
    assert asyncio.run(started(app, "10.0.0.1", "127.0.0.1")) == [401, 401]


def test_app_without_its_lifespan_says_so(tmp_path):
    assert asyncio.run(ask(app_of(tmp_path), "127.0.0.1")) == 503
