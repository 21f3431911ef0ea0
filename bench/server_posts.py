"""How many new series a second the server registers, and how long a client waits for each.

Starts the server in a process of its own on a new database, posts new series from several clients
at once over kept connections, and prints the rate and the 50th and 99th percentile of the time
from request to answer. Each answer is durable. The clients are one process: they cost little.

    python bench/server_posts.py --posts 10000 --clients 8
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from seriesgate.listener import bind_listener
from seriesgate.settings import ServerSettings
from seriesgate.wiring.server import server_app

if TYPE_CHECKING:
    import socket


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
    }
    body = json.dumps(report).encode()
    head = (
        "POST /series HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: bench-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def post_all(port: int, requests: list[bytes]) -> list[float]:
    """Send requests one after the other; give the seconds that each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits = []
    for each in requests:
        start = time.perf_counter()
        writer.write(each)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        waits.append(time.perf_counter() - start)
        if not head.startswith(b"HTTP/1.1 201 "):
            raise SystemExit(f"not registered: {head!r} {body!r}")
    writer.close()
    await writer.wait_closed()
    return waits


async def measure(
    port: int, posts: int, clients: int, *, first: int = 0
) -> tuple[float, list[float]]:
    """Give the seconds that all posts took together, and those of each, sorted.

    `first` is the number of the first series, where the database may have some of a run before.
    """
    numbers = range(first, first + 100 + posts)
    await post_all(port, [request(number) for number in numbers[:100]])  # warm up
    requests = [request(number) for number in numbers[100:]]
    start = time.perf_counter()
    waits = await asyncio.gather(
        *(post_all(port, requests[client::clients]) for client in range(clients))
    )
    return time.perf_counter() - start, sorted(wait for each in waits for wait in each)


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
            seconds, waits = asyncio.run(measure(port, arguments.posts, arguments.clients))
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
