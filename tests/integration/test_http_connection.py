"""Clients that say nothing, or take nothing: each is cut off in bounded time, and said once."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from tests.e2e.processes import PATIENCE
from tests.integration.running_gateway import running_gateway
from tests.integration.running_server import running_server

from seriesgate.server.http import connection as http_connection

#: More than there is room for, of a client that never ends the head of its request.
CROWD = 1100
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_TIMEOUT", 0.05)
    monkeypatch.setattr(http_connection, "STALL_TIMEOUT", 0.05)
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        yield server


@pytest.fixture
def patient_server(tmp_path):
    """A server that waits as long as it does outside of tests."""
    with running_server(f"sqlite:///{tmp_path}/series_data.db", max_connections=64) as server:
        yield server.url


@pytest.fixture
def administration(tmp_path):
    with running_gateway(tmp_path / "state") as gateway:
        yield f"http://127.0.0.1:{gateway.settings.admin_port}"


@contextmanager
def half_heads(url, count, source):
    """Hold so many connections, each with the head of a request that does not end."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with ExitStack() as held:
        crowd = []
        for _ in range(count):
            connection = held.enter_context(
                socket.create_connection((host, int(port)), PATIENCE, source_address=(source, 0))
            )
            connection.sendall(HEAD + b"X-More: ")
            crowd.append(connection)
        yield crowd


@contextmanager
def connected(server, window=None):
    with socket.socket() as connection:
        if window is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        yield connection


def register_long_rows(server, count):
    uids = [f"1.{'9' * 60}.{number}" for number in range(1000)]
    for number in range(count):
        server.register(SeriesInstanceUID=f"1.{number}", ConflictingInstances=uids)


def everything(connection):
    """What comes until the server ends the connection, in whatever way it does."""
    received = b""
    try:
        while piece := connection.recv(2**16):
            received += piece
    except ConnectionResetError:
        pass
    return received


def test_client_that_asks_nothing_is_cut_off(server):
    with connected(server) as connection:
        assert everything(connection) == b""


def test_head_without_end_is_cut_off_on_a_connection_in_use_too(server):
    with connected(server) as connection:
        connection.sendall(HEAD + b"\r\n" + HEAD + b"X-More: ")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/events?after=0", "/series.jsonl"])
def test_reader_that_takes_nothing_is_cut_off_with_one_line(server, caplog, path):
    """More than the sockets of both sides hold, so that the server has to wait for the reader."""
    register_long_rows(server, 100)
    with connected(server, window=4096) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not caplog.records:
            server.client.get("/healthz")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not answer.endswith(b"\r\n0\r\n\r\n")  # it can see that this is not all
    (line,) = caplog.records
    assert line.getMessage() == "a reader took nothing of its answer for 0.05 s and is cut off"


def test_slow_but_steady_reader_gets_all(server, caplog):
    register_long_rows(server, 10)
    with connected(server, window=4096) as connection:
        connection.sendall(
            b"GET /series.jsonl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        answer = everything(connection)
    assert answer.endswith(b"\r\n0\r\n\r\n")
    assert caplog.records == []


@pytest.mark.parametrize("listener", ["patient_server", "administration"])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_half_sent_heads_keep_nobody_out(request, caplog, listener, source):
    """Also not somebody at the address that they come from."""
    url = request.getfixturevalue(listener)
    with half_heads(url, CROWD, source), httpx.Client(base_url=url) as client:
        answers = [client.get("/healthz").status_code for _ in range(5)]
        assert answers == [200] * 5
        assert httpx.get(f"{url}/healthz").status_code == 200
    said = [line for line in caplog.messages if "too many connections" in line]
    assert said == [f"too many connections: idle ones are cut off, at present of {source}"]


def test_connection_that_works_is_kept_and_an_idle_one_goes(patient_server):
    """Of one address, whose share is all taken: streams first, then who would ask."""
    with ExitStack() as streams:
        clients = [streams.enter_context(httpx.Client(base_url=patient_server)) for _ in range(32)]
        for client in clients:
            answer = streams.enter_context(client.stream("GET", "/events"))
            assert answer.status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{patient_server}/healthz")
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=patient_server, transport=elsewhere) as other:
            assert other.get("/healthz").status_code == 200


def test_proxy_that_is_trusted_speaks_for_many(tmp_path):
    database = f"sqlite:///{tmp_path}/series_data.db"
    with (
        running_server(database, max_connections=16, trusted_proxies=["127.0.0.1/32"]) as server,
        ExitStack() as streams,
    ):
        for _ in range(14):
            client = streams.enter_context(httpx.Client(base_url=server.url))
            assert streams.enter_context(client.stream("GET", "/events")).status_code == 200
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_share_of_an_address_can_be_set(tmp_path):
    database = f"sqlite:///{tmp_path}/series_data.db"
    with (
        running_server(database, max_connections_per_address=3) as server,
        ExitStack() as streams,
    ):
        for _ in range(3):
            client = streams.enter_context(httpx.Client(base_url=server.url))
            assert streams.enter_context(client.stream("GET", "/events")).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/healthz")
