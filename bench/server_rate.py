"""How many new series a second the server registers, and one without all that it does besides.

The clients are those of `server_posts`, the other server is that of `plain_server`.
"""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench import server_posts
from bench.gate import running_server
from bench.programs import Program, Site, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENTS = 8


def measure(folder: Path, *, quick: bool) -> dict[str, float]:
    """Return of both the rate on SQLite and the 99th percentile of the time for a post, in ms."""
    posts = 1000 if quick else 10_000
    figures: dict[str, float] = {}
    for name, server in (("server", running_server), ("plain server", _running_plain_server)):
        with server(folder) as port:
            seconds, waits = server_posts.measure(port, posts, _CLIENTS)
        p99 = waits[math.ceil(0.99 * len(waits)) - 1]
        figures |= {f"{name} series/s": posts / seconds, f"{name} p99 ms": 1000 * p99}
    return figures


@contextmanager
def _running_plain_server(folder: Path) -> Iterator[int]:
    port = free_port()
    database = folder / "plain.db"
    program = Path(__file__).with_name("plain_server.py")
    command = (sys.executable, program, f"--port={port}", f"--database={database}")
    with running(Program(Site(), command, folder)) as server:
        server.wait_until_listening(port)
        yield port
