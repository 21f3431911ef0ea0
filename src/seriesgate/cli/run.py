"""`seriesgate up`, `gateway` and `server`: the programs that stay."""

from __future__ import annotations

import multiprocessing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from seriesgate.cli.options import AdminPort, ConfigFile, DatabaseUrl, StateDir, settings_or_exit
from seriesgate.programs import gateway_program, server_program
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.settings.server import ServerSettings

ScpHost = Annotated[str | None, typer.Option(help="Address that the Storage SCP listens on.")]
ScpPort = Annotated[int | None, typer.Option(help="Port of the Storage SCP.")]
AeTitleOption = Annotated[str | None, typer.Option(help="AE title of the Storage SCP.")]
QuietPeriod = Annotated[
    float | None, typer.Option(help="Seconds of quiet after which a series is complete.")
]
DurabilityOption = Annotated[
    str | None,
    typer.Option(help="What an acknowledged instance survives: power (loss) or process (crash)."),
]
ServerUrl = Annotated[str | None, typer.Option(help="Server that series are registered with.")]


def up(
    config: ConfigFile = None,
    scp_host: ScpHost = None,
    scp_port: ScpPort = None,
    ae_title: AeTitleOption = None,
    state_dir: StateDir = None,
    quiet_period: QuietPeriod = None,
    durability: DurabilityOption = None,
    admin_port: AdminPort = None,
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
        gateway__admin_port=admin_port,
        server__host=server_host,
        server__port=server_port,
        server__database_url=database_url,
    )
    gateway_settings = _reporting_to(settings.server, settings.gateway)
    code = supervise(
        [
            ("server", partial(server_program, settings.server)),
            ("gateway", partial(gateway_program, gateway_settings)),
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
    admin_port: AdminPort = None,
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
        gateway__admin_port=admin_port,
        gateway__server_url=server_url,
    )
    _run_alone("gateway", partial(gateway_program, settings.gateway))


def server(
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    database_url: DatabaseUrl = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve on the port; needs PostgreSQL.")
    ] = None,
) -> None:
    """Run the server alone.

    Example: seriesgate server --port 8000 --database-url sqlite:///series_data.db
    """
    settings = settings_or_exit(
        config,
        server__host=host,
        server__port=port,
        server__database_url=database_url,
        server__workers=workers,
    )
    _run_alone("server", partial(server_program, settings.server))


def _reporting_to(server: ServerSettings, gateway: GatewaySettings) -> GatewaySettings:
    """Have the gateway report to the server that is started with it, with a token of its own."""
    if server.tls_certificate is not None:
        return gateway  # only the settings know by which name the certificate calls the server
    host = f"[{server.host}]" if ":" in server.host else server.host
    changes: dict[str, object] = {"server_url": f"http://{host}:{server.port}"}
    usable = [token.token for token in server.tokens if {"register", "admin"} & {*token.scopes}]
    if gateway.server_token is None and usable:
        changes["server_token"] = usable[0]
    return GatewaySettings.model_validate({**gateway.model_dump(), **changes})


def _run_alone(name: str, program: Callable[[Callable[[str], None]], int]) -> None:
    multiprocessing.current_process().name = name
    raise typer.Exit(program(lambda address: _say(f"the {name} listens: {address}")))


def _announce(settings: GatewaySettings, addresses: dict[str, str]) -> None:
    called = f" --called-ae {settings.ae_title}" if settings.check_called_ae_title else ""
    _say(f"Storage SCP  {addresses['gateway']}")
    _say(f"server       {addresses['server']}/series")
    _say("try it       seriesgate send --synthetic 5x100" + _to_option(settings) + called)
    _say("             seriesgate series list")
    _say("watch it     seriesgate status --watch" + _admin_port_option(settings))
    _say("Ctrl-C stops both.")


def _to_option(settings: GatewaySettings) -> str:
    if (settings.scp_host, settings.scp_port) == ("127.0.0.1", 6667):
        return ""
    return f" --to {settings.scp_host}:{settings.scp_port}"


def _admin_port_option(settings: GatewaySettings) -> str:
    default = GatewaySettings.model_fields["admin_port"].default
    return "" if settings.admin_port == default else f" --admin-port {settings.admin_port}"


def _say(line: str) -> None:
    typer.echo(line)
