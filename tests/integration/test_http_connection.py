"""Clients that say nothing, or take nothing: each is cut off in bounded time, and said once."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import pytest
from tests.e2e.processes import PATIENCE
from tests.integration.running_server import running_server

from seriesgate.server.http import connection as http_connection

HEAD = b"GET /healthz HTTP/1.1\r\nHost: server\r\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_TIMEOUT", 0.05)
    monkeypatch.setattr(http_connection, "STALL_TIMEOUT", 0.05)
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        yield server


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
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
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
            b"GET /series.jsonl HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
        )
        answer = everything(connection)
    assert answer.endswith(b"\r\n0\r\n\r\n")
    assert caplog.records == []
