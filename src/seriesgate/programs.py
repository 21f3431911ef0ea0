"""The two programs as functions of their settings: from logging and signals to the exit code.

Each loads its own libraries only, for `seriesgate up` runs each in a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from seriesgate.json_log import JsonFormatter
from seriesgate.startup import CannotStart, MustStop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from seriesgate.settings import GatewaySettings, ServerSettings

    _OnReady: TypeAlias = Callable[[str], None]
    _Program: TypeAlias = Callable[[asyncio.Event, _OnReady], Awaitable[None]]


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
    from seriesgate.wiring.server import run_server  # noqa: PLC0415 - its own libraries only

    def on_assembled(url: str) -> None:
        # What is there now stays: the collector need not look at it again for every few requests.
        gc.collect()
        gc.freeze()
        on_ready(url)

    return _run(partial(run_server, settings), settings.log_format, on_assembled)


def _run(program: _Program, log_format: str, on_ready: _OnReady) -> int:
    _configure_logging(log_format)
    try:
        asyncio.run(_until_told_to_stop(program, on_ready))
    except (CannotStart, MustStop) as error:
        print(f"seriesgate: {error}", file=sys.stderr)  # noqa: T201 - for the person who starts it
        return 1
    return 0


async def _until_told_to_stop(program: _Program, on_ready: _OnReady) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    parent = multiprocessing.parent_process()
    if parent is None:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    else:
        loop.add_reader(parent.sentinel, stop.set)
    await program(stop, on_ready)


def _configure_logging(log_format: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(processName)s: %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line per request would say nothing new; what matters is logged where it happens.
    for chatty in ("httpx", "uvicorn", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
