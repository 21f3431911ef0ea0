"""What a client sends costs the server bounded memory, and only for as long as it is sent."""

from __future__ import annotations

import re
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import httpx
import pytest
from tests.e2e.processes import PATIENCE, Process, free_port
from tests.integration.running_server import running_server

MIB = 2**20
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
END = b"\r\n"
POST = b"POST /series HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(f"sqlite:///{tmp_path_factory.mktemp('db')}/series_data.db") as server:
        yield server


def answer_to(server, *parts):
    """Send parts, and give all that comes until the server ends the connection."""
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with socket.create_connection(address, PATIENCE) as connection:
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        received = b""
        with suppress(ConnectionError):
            while piece := connection.recv(2**16):
                received += piece
        return received


def headers(count, length=10):
    return b"".join(b"X-%05d: %s\r\n" % (number, b"a" * length) for number in range(count))


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + headers(64, 1024) + END],
        [HEAD, *[headers(8, 1024)] * 9],
        [HEAD + headers(101) + END],
        [HEAD, headers(5000, 0)],
        [HEAD + b"X: " + b"a" * 2**16 + END + END],
        [HEAD + b"X: ", *[b"a" * 2**14] * 30],
        [HEAD + b"a" * 2**17],
        [b"GET /" + b"a" * 2**16 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"GET /", *[b"a" * 2**14] * 30],
        [b"GET /?", *[b"a=" * 2**13] * 30],
    ],
)
def test_head_beyond_its_bounds_is_refused_whether_it_ends_or_not(server, parts):
    answer = answer_to(server, *parts)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer
    assert b'"status":431' in answer


def test_head_within_its_bounds_is_answered(server):
    for fields in (headers(98), headers(60, 1024)):
        answer = answer_to(server, HEAD + b"Connection: close\r\n" + fields + END)
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_head_is_counted_anew_for_each_request_of_a_connection(server):
    request = HEAD + headers(40, 1024) + END
    last = HEAD + b"Connection: close\r\n" + END
    assert answer_to(server, request * 4, request, request, last).count(b"HTTP/1.1 200 ") == 7


def test_body_is_no_head_however_it_is_cut(server):
    with httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            body = b"[" + b" " * 900_000 + b"]"
            answer = client.post("/series", content=iter([body[:1], *[body[1:]]]))
            assert answer.status_code == 415
            answer = client.post(
                "/series", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 422


@pytest.mark.parametrize("trailers", [[b"X: ", *[b"a" * 2**14] * 40], [b"1", *[b"0" * 2**14] * 40]])
def test_what_stands_between_the_pieces_of_a_body_is_bounded(server, trailers):
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    if trailers[0] == b"1":  # of a chunk, whose size is said with an extension
        head, trailers = head.removesuffix(b"0\r\n"), [b"1;", *trailers[1:]]
    assert re.match(rb"HTTP/1.1 4(31|00) ", answer_to(server, head, *trailers))


def test_trailers_mean_nothing(server):
    head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = answer_to(server, head + b"1\r\n{\r\n0\r\nIdempotency-Key: \xff\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 422 ")


def test_requests_that_wait_for_one_before_them_are_bounded(server):
    events = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = answer_to(server, events + (HEAD + END) * 40)
    assert answer.count(b"HTTP/1.1") <= 1
    assert b"200" not in answer


def test_refused_connection_harms_no_other(server):
    assert answer_to(server, HEAD + headers(101) + END).startswith(b"HTTP/1.1 431 ")
    assert server.client.get("/healthz").status_code == 200


def resident(pid):
    return in_status("VmRSS", pid)


def peak(pid):
    return in_status("VmHWM", pid)


def in_status(name, pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split(f"{name}:")[1].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_of_heads_and_slow_uploads_is_bounded_and_given_back(tmp_path):
    """400 uploads of a mebibyte, and heads without end, each piece when the last one is taken."""
    port = free_port()
    command = (sys.executable, "-m", "seriesgate", "server", f"--port={port}")
    process = Process(*command, cwd=tmp_path)
    try:
        process.wait_for("the server listens")
        httpx.get(f"http://127.0.0.1:{port}/series").raise_for_status()
        before = resident(process.pid)
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # begin to measure the peak
        piece = headers(64, 1013)
        with ExitStack() as held:
            crowd = [
                held.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
                for _ in range(440)
            ]
            for connection in crowd[:400]:
                connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % MIB)
            for connection in crowd[400:]:
                connection.sendall(HEAD)
            for _ in range(15):
                for connection in crowd:
                    with suppress(ConnectionError):
                        connection.sendall(piece)
                assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert peak(process.pid) - before < 200 * MIB
        deadline = monotonic() + PATIENCE
        while resident(process.pid) - before > 16 * MIB:
            assert monotonic() < deadline, "memory is not given back"
    finally:
        process.stop()
