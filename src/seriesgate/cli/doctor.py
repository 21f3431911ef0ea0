"""`seriesgate doctor`: whether everything is as it should be, and what the senders are like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from seriesgate.cli.doctor_view import finding_view, senders_view
from seriesgate.cli.gateway_api import GatewayApi, GatewayDoesNotTell, GatewayNotRunning
from seriesgate.cli.options import AdminPort, ConfigFile, StateDir, settings_or_exit

if TYPE_CHECKING:
    from seriesgate.settings.gateway import GatewaySettings
    from seriesgate.wiring.doctor.finding import Finding
    from seriesgate.wiring.doctor.gateway_state import GatewayState

#: Exit code of `doctor` when it has found a problem.
EXIT_PROBLEM = 3


def doctor(
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the settings, ports, disk, clock, server, token and limits; tell about each sender.

    The gateway may run or not. Nothing is changed. Exit codes: 0 no problem was found, warnings or
    not; 2 the settings are wrong; 3 there is a problem.

    Example: seriesgate doctor --config /etc/seriesgate/gateway.toml
    """
    from seriesgate.wiring.doctor.examination import examine  # noqa: PLC0415 - for pydicom
    from seriesgate.wiring.doctor.finding import Verdict  # noqa: PLC0415 - with it

    settings = settings_or_exit(
        config, gateway__admin_port=admin_port, gateway__state_dir=state_dir
    )
    state = _state(settings.gateway)
    console = Console()
    findings = []
    for finding in examine(settings, state):
        findings.append(finding)
        if not as_json:
            console.print(finding_view(finding))
    if as_json:
        typer.echo(json.dumps(_json(findings, state), indent=2))
    else:
        console.print(senders_view(state.senders, state.status))
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(EXIT_PROBLEM)


def _state(settings: GatewaySettings) -> GatewayState:
    """Ask the gateway that runs; where none does, look at what it has left."""
    from seriesgate.wiring.doctor.gateway_state import (  # noqa: PLC0415 - with `examine`
        GatewayState,
        left_behind,
    )

    api = GatewayApi(settings)
    try:
        status, outbox = api.ask("GET", "/status"), api.ask("GET", "/outbox")
    except GatewayNotRunning as error:
        return left_behind(settings, str(error))
    except GatewayDoesNotTell as error:
        return GatewayState(trouble=str(error), is_mute=True)
    try:
        return GatewayState(status, outbox, api.ask("GET", "/senders"))
    except (GatewayNotRunning, GatewayDoesNotTell) as error:
        # One of an earlier version runs until it is restarted.
        return GatewayState(status, outbox, trouble=str(error))


def _json(findings: list[Finding], state: GatewayState) -> dict[str, Any]:
    return {
        "gateway_running": state.is_running,
        "findings": [
            {"check": each.check, "verdict": each.verdict.value, "text": each.text}
            for each in findings
        ],
        "senders": state.senders,
    }
