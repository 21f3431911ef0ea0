"""`seriesgate up`, `gateway` and `server`: the programs that stay."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from seriesgate.cli.options import ConfigFile, fail, settings_or_exit
from seriesgate.settings import GatewaySettings, ServerSettings
from seriesgate.startup import CannotStart
from seriesgate.supervisor import supervise

ScpHost = Annotated[str | None, typer.Option(help="Address that the Storage SCP listens on.")]
ScpPort = Annotated[int | None, typer.Option(help="Port of the Storage SCP.")]
AeTitleOption = Annotated[str | None, typer.Option(help="AE title of the Storage SCP.")]
StateDir = Annotated[Path | None, typer.Option(help="Folder of the spool.")]
QuietPeriod = Annotated[
    float | None, typer.Option(help="Seconds of quiet after which a series is complete.")
]
DurabilityOption = Annotated[
    str | None,
    typer.Option(help="What an acknowledged instance survives: power (loss) or process (crash)."),
]
ServerUrl = Annotated[str | None, typer.Option(help="Server that series are registered with.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database of the server.")]

_Program: TypeAlias = Callable[[asyncio.Event, Callable[[str], None]], Awaitable[None]]


def up(
    config: ConfigFile = None,
    scp_host: ScpHost = None,
    scp_port: ScpPort = None,
    ae_title: AeTitleOption = None,
    state_dir: StateDir = None,
    quiet_period: QuietPeriod = None,
    durability: DurabilityOption = None,
    server_host: Annotated[str | None, typer.Option(help="Address of the server.")] = None,
    server_port: Annotated[int | None, typer.Option(help="Port of the server.")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the gateway and the server on this machine.

    Example: seriesgate up --scp-port 11112
    """
    settings = settings_or_exit(
        config,
        gateway__scp_host=scp_host,
        gateway__scp_port=scp_port,
        gateway__ae_title=ae_title,
        gateway__state_dir=state_dir,
        gateway__quiet_period=quiet_period,
        gateway__durability=durability,
        server__host=server_host,
        server__port=server_port,
        server__database_url=database_url,
    )
    # The two run side by side: the gateway reports to the server that is started with it.
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    url = f"http://{host}:{settings.server.port}"
    gateway_settings = GatewaySettings.model_validate(
        {**settings.gateway.model_dump(), "server_url": url}
    )
    code = supervise(
        [
            ("server", partial(_main, partial(_server, settings.server))),
            ("gateway", partial(_main, partial(_gateway, gateway_settings))),
        ],
        partial(_announce, gateway_settings),
    )
    _say("stopped")
    raise typer.Exit(code)


def gateway(
    config: ConfigFile = None,
    scp_host: ScpHost = None,
    scp_port: ScpPort = None,
    ae_title: AeTitleOption = None,
    state_dir: StateDir = None,
    quiet_period: QuietPeriod = None,
    durability: DurabilityOption = None,
    server_url: ServerUrl = None,
) -> None:
    """Run the gateway alone: the Storage SCP, and what follows until the server has the series.

    Example: seriesgate gateway --server-url https://registry.example.org
    """
    settings = settings_or_exit(
        config,
        gateway__scp_host=scp_host,
        gateway__scp_port=scp_port,
        gateway__ae_title=ae_title,
        gateway__state_dir=state_dir,
        gateway__quiet_period=quiet_period,
        gateway__durability=durability,
        gateway__server_url=server_url,
    )
    _run_alone("gateway", partial(_gateway, settings.gateway))


def server(
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the server alone.

    Example: seriesgate server --port 8000 --database-url sqlite:///series_data.db
    """
    settings = settings_or_exit(
        config, server__host=host, server__port=port, server__database_url=database_url
    )
    _run_alone("server", partial(_server, settings.server))


# Each program loads its own libraries only, in its own process: that halves start and memory.


async def _gateway(
    settings: GatewaySettings, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    from seriesgate.wiring.gateway import run_gateway  # noqa: PLC0415 - see above

    await run_gateway(settings, stop, on_ready)


async def _server(
    settings: ServerSettings, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    from seriesgate.wiring.server import run_server  # noqa: PLC0415 - see above

    await run_server(settings, stop, on_ready)


def _run_alone(name: str, program: _Program) -> None:
    multiprocessing.current_process().name = name
    raise typer.Exit(_main(program, lambda address: _say(f"the {name} listens: {address}")))


def _main(program: _Program, on_ready: Callable[[str], None]) -> int:
    """Run one program to its end in this process; return its exit code."""
    _configure_logging()
    try:
        asyncio.run(_until_signalled(program, on_ready))
    except CannotStart as error:
        return fail(str(error)).exit_code
    return 0


async def _until_signalled(program: _Program, on_ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    parent = multiprocessing.parent_process()
    if parent is None:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    else:
        loop.add_reader(parent.sentinel, stop.set)
    await program(stop, on_ready)


def _configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(processName)s: %(message)s",
    )
    # One line per request would name series; what matters is logged where it happens.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for chatty in ("uvicorn", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _announce(settings: GatewaySettings, addresses: dict[str, str]) -> None:
    called = f" --called-ae {settings.ae_title}" if settings.check_called_ae_title else ""
    _say(f"Storage SCP  {addresses['gateway']}")
    _say(f"server       {addresses['server']}/series")
    _say("try it       seriesgate send --synthetic 5x100" + _to_option(settings) + called)
    _say("             seriesgate series list")
    _say("Ctrl-C stops both.")


def _to_option(settings: GatewaySettings) -> str:
    if (settings.scp_host, settings.scp_port) == ("127.0.0.1", 6667):
        return ""
    return f" --to {settings.scp_host}:{settings.scp_port}"


def _say(line: str) -> None:
    typer.echo(line)
