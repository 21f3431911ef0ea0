"""The server on real sockets, with a real database: what only shows there."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.serving import serving
from tests.unit.server.examples import FIVE_FIELDS

HEAD = b"POST /series HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SERVE = """
import sys, uvicorn
from seriesgate.listener import bind_listener
from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import server_app
listener = bind_listener("127.0.0.1", 0)
app = server_app(ServerSettings(database_url=sys.argv[1]))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/series_data.db"


@pytest.fixture
def port(url):
    with serving(url) as port:
        yield port


def post(connection, **fields):
    body = json.dumps(FIVE_FIELDS | fields)
    connection.request("POST", "/series", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def connect(port):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))


def answer_to(port, *parts):
    """Send raw bytes, and give all that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):  # it may close while we still send
            for part in parts:
                connection.sendall(part)
        return connection.makefile("rb").read()


def test_eight_clients_at_once(port):
    def register(client):
        with connect(port) as connection:
            own = [post(connection, SeriesInstanceUID=f"1.{client}.{n}")[0] for n in range(20)]
            shared = [
                post(connection, SeriesInstanceUID="1.9", InstancesInSeries=n + 1)[0]
                for n in range(20)
            ]
            return own, shared

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(register, range(8)))
    assert [own for own, _ in answers] == [[201] * 20] * 8
    assert sorted(status for _, shared in answers for status in shared) == [200] * 159 + [201]
    with connect(port) as connection:
        connection.request("GET", "/series?limit=1000")
        rows = json.loads(connection.getresponse().read())["series"]
    assert len(rows) == 8 * 20 + 1
    counts = {row["SeriesInstanceUID"]: row["InstancesInSeries"] for row in rows}
    assert counts.pop("1.9") == 20
    assert set(counts.values()) == {10}


def test_body_of_four_gigabytes_is_refused_unread(port):
    answer = answer_to(port, HEAD + b"Content-Length: 4294967296\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_chunks_without_end_are_refused_at_the_limit(port):
    megabyte = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    answer = answer_to(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[megabyte] * 64)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_refused_body_is_not_taken_for_a_request(port):
    """What follows the head of a refused request may be made to look like another request."""
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = answer_to(port, HEAD + b"Content-Length: 2000000\r\n\r\n" + smuggled)
    assert answer.count(b"HTTP/1.1") == 1


def test_client_that_goes_away_leaves_no_error(port, caplog):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    with connect(port) as connection:
        assert post(connection)[0] == 201
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.fault("F15")
def test_answered_report_survives_kill_9(url):
    command = [sys.executable, "-c", SERVE, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with connect(port) as connection:
            statuses = [post(connection, SeriesInstanceUID=f"1.{n}")[0] for n in range(50)]
            os.kill(server.pid, signal.SIGKILL)
    assert statuses == [201] * 50
    with serving(url) as port, connect(port) as connection:
        again = [post(connection, SeriesInstanceUID=f"1.{n}")[0] for n in range(50)]
    assert again == [200] * 50
