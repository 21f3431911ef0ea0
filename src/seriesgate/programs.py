"""The two programs as functions of their settings: from logging and signals to the exit code.

Each loads its own libraries only, for `seriesgate up` runs each in a process of its own.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from seriesgate.containment import Unit, contained, failure_of
from seriesgate.json_log import configure_logging
from seriesgate.startup import CannotStart, MustStop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from seriesgate.settings.gateway import GatewaySettings
    from seriesgate.settings.server import ServerSettings
    from seriesgate.wiring.worker_seat import WorkerSeat

    _OnReady: TypeAlias = Callable[[str], None]
    _Program: TypeAlias = Callable[[asyncio.Event, _OnReady], Awaitable[None]]

_log = logging.getLogger(__name__)


def gateway_program(settings: GatewaySettings, on_ready: _OnReady) -> int:
    """Run the gateway until SIGTERM, SIGINT or the end of the parent; return the exit code.

    `on_ready` gets where it listens, once it takes work.
    """
    from seriesgate.wiring.gateway import run_gateway  # noqa: PLC0415 - its own libraries only

    return _run(partial(run_gateway, settings), settings.log_format, on_ready)


def server_program(settings: ServerSettings, on_ready: _OnReady) -> int:
    """Run the server until SIGTERM, SIGINT or the end of the parent; return the exit code.

    `on_ready` gets its URL, once it takes work.
    """
    if settings.workers > 1:
        from seriesgate.wiring.server_workers import run_workers  # noqa: PLC0415 - only where used

        main = partial(_server_worker, settings)
        return _exit_code(lambda: run_workers(settings, main, on_ready), settings.log_format)
    return _run(partial(_run_server(), settings), settings.log_format, on_ready)


def _server_worker(settings: ServerSettings, seat: WorkerSeat, on_ready: _OnReady) -> int:
    """Run one of several workers, in a process that its parent has made for it."""
    # Prometheus' library looks for it once, when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(seat.metrics)
    return _run(partial(_run_server(), settings, seat=seat), settings.log_format, on_ready)


def _run_server() -> Callable[..., Awaitable[None]]:
    from seriesgate.wiring.server import run_server  # noqa: PLC0415 - its own libraries only

    return run_server


def _run(program: _Program, log_format: str, on_ready: _OnReady) -> int:
    def run() -> int:
        asyncio.run(_until_told_to_stop(program, on_ready))
        return 0

    return _exit_code(run, log_format)


def _exit_code(run: Callable[[], int], log_format: str) -> int:
    configure_logging(log_format)
    # A line per request would say nothing new; what matters is logged where it happens.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    unit = Unit()
    try:
        with contained(unit, (CannotStart, MustStop)):
            return run()
        reason = f"internal error: {unit.failure}"
    except (CannotStart, MustStop) as error:
        reason = str(error)
    print(f"seriesgate: {reason}", file=sys.stderr)  # noqa: T201 - for the person who starts it
    return 1


def _log_failure(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Log what goes wrong in a callback, without the text of the error: it may quote data."""
    error = context.get("exception")
    reason = failure_of(error) if isinstance(error, BaseException) else context["message"]
    _log.error("internal error: %s", reason)


async def _until_told_to_stop(program: _Program, on_ready: _OnReady) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_failure)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    parent = multiprocessing.parent_process()
    if parent is None:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    else:
        loop.add_reader(parent.sentinel, stop.set)
    await program(stop, on_ready)
