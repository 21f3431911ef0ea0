"""How many new series a second the server registers, with the clients of `server_posts`."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bench import server_posts
from bench.gate import running_server

if TYPE_CHECKING:
    from pathlib import Path

_CLIENTS = 8


def measure(folder: Path, *, quick: bool) -> dict[str, float]:
    """Return the rate on SQLite and the 99th percentile of the time for one post, in ms."""
    posts = 1000 if quick else 10_000
    with running_server(folder) as port:
        seconds, waits = asyncio.run(server_posts.measure(port, posts, _CLIENTS))
    p99 = waits[math.ceil(0.99 * len(waits)) - 1]
    return {"server series/s": posts / seconds, "server p99 ms": 1000 * p99}
