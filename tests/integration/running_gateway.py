"""The whole gateway on a thread, as `seriesgate gateway` runs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import PATIENCE, free_port
from typer.testing import CliRunner

from seriesgate.cli import app
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.wiring.gateway import run_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class LogWatch(logging.Handler):
    """Waits for lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.lines.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> None:
        """Wait until so many lines, of all there were, match."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.count(pattern) >= count, PATIENCE)
        assert found, f"{pattern!r} did not come; the log has\n" + "\n".join(self.lines)

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, line) is not None for line in self.lines)


class RunningGateway:
    """A gateway that was started."""

    def __init__(self, settings: GatewaySettings, log: LogWatch) -> None:
        self.settings = settings
        self.log = log

    def command(self, *arguments: str, expect: int = 0) -> str:
        """Run a command of seriesgate on it; return what it printed."""
        port = f"--admin-port={self.settings.admin_port}"
        done = CliRunner().invoke(app, [*arguments, port])
        assert done.exit_code == expect, done.output
        return done.stdout

    def receive(self, shape: str) -> None:
        """Send synthetic series to it."""
        to = f"{self.settings.scp_host}:{self.settings.scp_port}"
        done = CliRunner().invoke(app, ["send", "--synthetic", shape, "--to", to])
        assert done.exit_code == 0, done.output


@contextlib.contextmanager
def running_gateway(state_dir: Path, **settings: Any) -> Iterator[RunningGateway]:
    all_settings = GatewaySettings(
        state_dir=state_dir,
        scp_port=free_port(),
        admin_port=free_port(),
        **{"previews": False, **settings},
    )
    log = LogWatch()
    ready = threading.Event()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))
        await run_gateway(all_settings, stop, lambda _line: ready.set())

    logger = logging.getLogger("seriesgate")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield RunningGateway(all_settings, log)
    finally:
        for loop, stop in stops:
            loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        logger.removeHandler(log)
        logger.setLevel(level)
