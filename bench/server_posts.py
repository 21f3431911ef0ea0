"""How many new series a second the server registers, and how long a client waits for each.

Starts the server in a process of its own on a new database, posts new series from several clients
at once over kept connections, and prints the rate and the 50th and 99th percentile of the time
from request to answer. Each answer is durable. Each client has one request under way at a time. All
are one thread on plain sockets: on a machine of two processors they must leave them to the server.

    python bench/server_posts.py --posts 10000 --clients 8
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import selectors
import socket
import tempfile
import time
from pathlib import Path

import uvicorn

from seriesgate.listener import bind_listener
from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import server_app

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


def serve(listener: socket.socket, database_url: str) -> None:
    app = server_app(ServerSettings(database_url=database_url))
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


def request(number: int) -> bytes:
    """Give the request for a series of its own, with what our gateway sends."""
    report = {
        "SeriesInstanceUID": f"1.2.826.0.1.3680043.2.1125.{number:012d}.1",
        "PatientName": "Bench^Mark",
        "PatientID": f"P{number % 1000}",
        "StudyInstanceUID": f"1.2.826.0.1.3680043.2.1125.{number // 4:012d}",
        "InstancesInSeries": 176,
        "Revision": 1,
        "AddedInstances": 176,
        "Modality": "MR",
        "SeriesNumber": number % 20,
        "SeriesDescription": "t1_mprage_sag",
        "BodyPartExamined": "HEAD",
        "StudyDate": "20260101",
        "StudyDescription": "Brain",
        "AccessionNumber": f"A{number // 4}",
        "Manufacturer": "ACME",
        "CallingAETitle": "MODALITY",
        "Gateway": "bench",
        "Bytes": 92_274_688,
        "FirstInstanceAt": "2026-01-01T11:59:58.000001Z",
        "LastInstanceAt": "2026-01-01T12:00:00.123456Z",
        "ClosedAt": "2026-01-01T12:00:01.123456Z",
        "MissingInstanceNumbers": [],
        "ConflictingInstances": [],
        "InconsistentInstances": [],
        "InconsistentInstanceCount": 0,
    }
    body = json.dumps(report).encode()
    head = (
        "POST /series HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: bench-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    if found is None:
        raise SystemExit(f"an answer without a length: {head!r}")
    return int(found[1])


class Client:
    """A kept connection that sends requests one after the other."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        #: The seconds that each answer took so far.
        self.waits: list[float] = []
        self._requests = iter(requests)
        self._answer = b""
        self._start = 0.0

    def send(self) -> bool:
        """Send the next request; return whether there was one."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._answer = b""
        self._start = time.perf_counter()
        self.connection.sendall(request)
        return True

    def receive(self) -> bool:
        """Take what has come; return whether the answer is complete. SystemExit for a refusal."""
        self._answer += self.connection.recv(65_536)
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return False
        self.waits.append(time.perf_counter() - self._start)
        if not head.startswith(b"HTTP/1.1 201 "):
            raise SystemExit(f"not registered: {self._answer!r}")
        return True


def post_all(port: int, requests: list[bytes], clients: int) -> list[float]:
    """Send requests, shared among clients; give the seconds that each answer took."""
    with selectors.DefaultSelector() as selector:
        every = [Client(port, requests[number::clients]) for number in range(clients)]
        for client in every:
            selector.register(client.connection, selectors.EVENT_READ, client)
            client.send()
        while selector.get_map():
            for key, _ in selector.select():
                if key.data.receive() and not key.data.send():
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
    return [wait for client in every for wait in client.waits]


def measure(port: int, posts: int, clients: int, *, first: int = 0) -> tuple[float, list[float]]:
    """Give the seconds that all posts took together, and those of each, sorted.

    `first` is the number of the first series, where the database may have some of a run before.
    """
    numbers = range(first, first + 100 + posts)
    requests = [request(number) for number in numbers]
    post_all(port, requests[:100], 1)  # warm up
    start = time.perf_counter()
    waits = post_all(port, requests[100:], clients)
    return time.perf_counter() - start, sorted(waits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where the database is made; on a real disk")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        bind_listener("127.0.0.1", 0) as listener,
    ):
        url = f"sqlite:///{folder}/series_data.db"
        server = multiprocessing.Process(target=serve, args=(listener, url))
        server.start()
        port = listener.getsockname()[1]
        try:
            seconds, waits = measure(port, arguments.posts, arguments.clients)
        finally:
            server.terminate()
            server.join()
    p50, p99 = (1000 * waits[int(len(waits) * share)] for share in (0.5, 0.99))
    print(
        f"{arguments.posts / seconds:.0f} new series/s with {arguments.clients} clients, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1000 * waits[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
