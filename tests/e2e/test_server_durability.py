"""What the server has answered 2xx is kept, whatever dies under load."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.e2e.load import Load, assert_kept
from tests.e2e.processes import Process, free_port, seriesgate_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def server(folder: Path, database_url: str, port: int) -> Iterator[Process]:
    process = Process(
        *seriesgate_command(),
        *("server", f"--port={port}", f"--database-url={database_url}"),
        cwd=folder,
    )
    try:
        process.wait_for("listens")
        yield process
    finally:
        process.stop()


def test_sqlite_server_that_is_stopped_or_killed_under_load_loses_nothing(tmp_path):
    """Nobody is told 5xx when it is stopped: what was begun is answered."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    loads = []
    for number, exit_code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        with server(tmp_path, "sqlite:///series_data.db", port) as process:
            with Load([url], prefix=f"1.{number}") as load:
                load.wait_for(100)
                process.signal(number)
                assert process.wait() == exit_code
            loads.append(load)
    with server(tmp_path, "sqlite:///series_data.db", port):
        for load in loads:
            assert load.promises.statuses <= {200, 201}
            assert_kept(load.promises, url)


@pytest.mark.fault("F32")
def test_postgresql_that_dies_under_load_loses_nothing(tmp_path, postgresql):
    """Two servers on one database, which is killed, and is stopped; both go on afterwards."""
    database_url = postgresql.migrated_database()
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        servers = [stack.enter_context(server(tmp_path, database_url, port)) for port in ports]
        with Load(urls, prefix="1.9") as load:
            for mode in ("immediate", "fast"):
                load.wait_for(60)
                postgresql.stop(mode)
                postgresql.start()
            load.wait_for(60)
        for url in urls:
            assert_kept(load.promises, url)
            assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        assert load.promises.statuses <= {200, 201, 503}
        for process in servers:
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
            assert not any("Traceback" in line for line in process.output)
    postgresql.wait_until_left(database_url)
    postgresql.give_back(database_url)
