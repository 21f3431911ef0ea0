"""How long a server with a million series stored lets a reader or a gateway wait.

    python -m bench.server_million [--series N] [--database sqlite|postgresql|URL] [--page DIR]

Fills a new database in bulk, runs the server on it in a process of its own, and asks it all that it
can be asked: first each query again and again, with nothing else going on; then all of them, mixed,
by several readers, while series come in. The time is that from request to answer, as a client sees
it. With --page, what was measured goes into a page of the documentation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from bench import million_page, server_fill, server_load
from bench.programs import Program, Site, free_port, running
from bench.server_queries import requests
from tests.postgresql import PostgresqlServer

_REPEATS = 30


def run(database_url: str, folder: Path, count: int, repeats: int) -> million_page.Measured:
    """Measure with a database that is filled."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "seriesgate", "server"),
        *(f"--port={port}", f"--database-url={database_url}"),
    )
    queries = list(requests(count))
    with running(Program(Site(), command, folder)) as server:
        server.wait_until_listening(port)
        alone = asyncio.run(server_load.measure_alone(port, queries, repeats))
        # Numbers that no run before has posted.
        first = int(time.time()) * 1000
        together = asyncio.run(server_load.measure_together(port, queries, repeats, first=first))
    return million_page.measured(count, alone, together)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument(
        "--database",
        action="append",
        help="sqlite, postgresql, or the URL of one that is filled; both if none is named",
    )
    parser.add_argument("--folder", type=Path, help="where the database is made; on a real disk")
    parser.add_argument("--page", type=Path, help="the folder of the page that is to be written")
    parser.add_argument("--repeats", type=int, default=_REPEATS, help="how often each is asked")
    arguments = parser.parse_args()
    all_hold = True
    for database in arguments.database or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
            url = _filled(database, folder, arguments.series, stack)
            found = run(url, folder, arguments.series, arguments.repeats)
            name = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
            print("\n".join(million_page.table({name: found})))
            if arguments.page is not None:
                million_page.add(arguments.page, name, found, folder)
            all_hold = all_hold and found.holds
    if not all_hold:
        raise SystemExit("not every answer is in time")


def _filled(database: str, folder: Path, count: int, stack: ExitStack) -> str:
    """Give the URL of a filled database, which is there until `stack` is left."""
    if database == "postgresql":
        url = stack.enter_context(closing(PostgresqlServer())).new_database()
    elif database == "sqlite":
        url = f"sqlite:///{folder}/series_data.db"
    else:
        return database
    start = time.monotonic()
    server_fill.fill(url, count)
    os.sync()  # what is left to be written is no part of the measurement
    print(f"filled in {time.monotonic() - start:.0f} s")
    return url


if __name__ == "__main__":
    main()
