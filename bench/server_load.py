"""People and programs who ask a server, and gateways that post to it, all at the same time.

What is measured is the time that each of them waits for its answer. So the load is one that a site
has on a busy day, and not as much as the machine can do, where the measurement would be of a queue.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import server_posts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POSTS_PER_SECOND = 30
READERS = 3
PAUSE = 0.1
"""So many read at a time; each asks again so many seconds after its answer."""
_POSTERS = 8
_SEED = 1
_GOOD = {200, 201, 204}


@dataclass
class Waits:
    """The seconds that each answer took: to each query by its name, and to posts."""

    reads: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    posts: list[float] = field(default_factory=list)


class Client:
    """A kept connection, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        """Connect to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> None:
        """Send a request and wait for the whole answer. SystemExit for one that is not good."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, length = head.partition(b"content-length: ")
        body = await self._reader.readexactly(int(length.split(b"\r\n")[0] or 0))
        if int(head.split()[1]) not in _GOOD:
            raise SystemExit(f"{request!r} was answered: {head!r} {body!r}")

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()


def get(path: str) -> bytes:
    """Give the request for a path."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def measure_alone(port: int, queries: Sequence[tuple[str, str]], repeats: int) -> Waits:
    """Ask each of `queries` (names and paths) so often, after a first time that does not count."""
    waits = Waits()
    client = await Client.connect(port)
    for name, path in queries:
        for _ in range(1 + repeats):
            start = time.perf_counter()
            await client.ask(get(path))
            waits.reads[name].append(time.perf_counter() - start)
        del waits.reads[name][0]
    await client.close()
    return waits


async def measure_together(
    port: int, queries: Sequence[tuple[str, str]], repeats: int, *, first: int
) -> Waits:
    """Ask each of `queries` so often, by several readers in no order, while series come in.

    `first` is the number of the first series that is posted. A post has a time when it is due, and
    its wait is from then on: one that waits for another to be answered has waited as well.
    """
    waits = Waits()
    done = asyncio.Event()
    posting = asyncio.create_task(_post(port, first, waits.posts, done))
    todo = [query for query in queries for _ in range(repeats)]
    random.Random(_SEED).shuffle(todo)
    each = iter(todo)
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(_read(port, each, waits))
    done.set()
    await posting
    return waits


async def _read(port: int, queries: Iterator[tuple[str, str]], waits: Waits) -> None:
    client = await Client.connect(port)
    for name, path in queries:
        await asyncio.sleep(PAUSE)
        start = time.perf_counter()
        await client.ask(get(path))
        waits.reads[name].append(time.perf_counter() - start)
    await client.close()


async def _post(port: int, number: int, waits: list[float], done: asyncio.Event) -> None:
    """Post series at random times, so many a second on average."""
    free: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(_POSTERS):
        free.put_nowait(await Client.connect(port))
    gaps = random.Random(_SEED)
    due = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while not done.is_set():
            due += gaps.expovariate(POSTS_PER_SECOND)
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(_post_one(free, number, due, waits))
            number += 1
    while not free.empty():
        await free.get_nowait().close()


async def _post_one(
    free: asyncio.Queue[Client], number: int, due: float, waits: list[float]
) -> None:
    client = await free.get()
    await client.ask(server_posts.request(number))
    waits.append(time.perf_counter() - due)
    free.put_nowait(client)
