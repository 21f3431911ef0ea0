"""seriesgate under measurement: a gateway and the server that it reports to, two real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.programs import BenchmarkError, Program, Site, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SERIESGATE = (sys.executable, "-m", "seriesgate")
_DELIVERY_TIMEOUT = 300.0
_POLL = 0.05
DATABASE = "series_data.db"


@dataclass(frozen=True)
class Gate:
    """A running gateway with its server. `folder` has its state and the server's database."""

    folder: Path
    gateway: Program
    scp_port: int
    server_port: int
    #: How long the gateway took from its start until it accepted connections, in seconds.
    start_seconds: float

    def wait_until_delivered(self) -> None:
        """Return when every series has closed and is registered. Raises BenchmarkError."""
        limit = time.monotonic() + _DELIVERY_TIMEOUT
        while spooled(self.folder):
            if time.monotonic() > limit:
                raise BenchmarkError(self.gateway.complaint("series are still not delivered"))
            time.sleep(_POLL)


@contextmanager
def running_server(folder: Path, site: Site | None = None) -> Iterator[int]:
    """Run the server with a database in `folder`; give the port that it listens on."""
    port = free_port()
    database = f"--database-url=sqlite:///{folder / DATABASE}"
    command = (*_SERIESGATE, "server", f"--port={port}", database)
    with running(Program(site or Site(), command, folder)) as server:
        server.wait_until_listening(port)
        yield port


@contextmanager
def running_gate(
    folder: Path,
    *,
    site: Site | None = None,
    durability: str = "power",
    quiet_period: float = 1.0,
) -> Iterator[Gate]:
    """Run both programs in `folder`, where an earlier run may have left its state."""
    site = site or Site()
    scp_port = free_port()
    with running_server(folder, site) as server_port:
        settings = {
            "scp_host": site.host,
            "scp_port": scp_port,
            "admin_port": free_port(),
            "allow_any_ae": True,
            "state_dir": str(folder / "state"),
            "durability": durability,
            "quiet_period": quiet_period,
            "server_url": f"http://127.0.0.1:{server_port}",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        (folder / "seriesgate.toml").write_text("\n".join(["[gateway]", *lines, ""]))
        began = time.monotonic()
        with running(Program(site, (*_SERIESGATE, "gateway"), folder)) as gateway:
            start_seconds = gateway.wait_until_listening(scp_port) - began
            yield Gate(folder, gateway, scp_port, server_port, start_seconds)


def spooled(folder: Path) -> int:
    """Return how many instances are in the spool of the gate in `folder`."""
    return sum(len(files) for _, _, files in os.walk(folder / "state" / "spool"))


def registered(folder: Path) -> dict[str, int]:
    """Return the instances of each series in the database of the gate in `folder`."""
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as connection:
        return dict(
            connection.execute("SELECT SeriesInstanceUID, InstancesInSeries FROM series_data")
        )
