"""All checks, in the order in which a person would ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seriesgate.startup import CannotStart
from seriesgate.tls import server_context
from seriesgate.wiring.doctor.finding import Finding, ok, problem
from seriesgate.wiring.doctor.gateway_state import (
    GatewayState,
    check_aside,
    check_gateway,
    check_journal,
    check_outbox,
    check_settings_in_use,
)
from seriesgate.wiring.doctor.machine import (
    ClockWatch,
    check_clock,
    check_open_files,
    check_sqlite,
    check_state_folder,
)
from seriesgate.wiring.doctor.ports import (
    check_admin_port,
    check_echo,
    check_scp_certificate,
    check_scp_port,
    check_server_port,
)
from seriesgate.wiring.doctor.senders import check_quiet_period, check_senders
from seriesgate.wiring.doctor.server import ask_server, check_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.settings.loading import Settings


def examine(settings: Settings, state: GatewayState) -> Iterator[Finding]:
    """Carry out every check; each finding comes when it is known. Nothing is changed."""
    gateway = settings.gateway
    watch = ClockWatch()
    yield from _check_settings(settings)
    yield from check_settings_in_use(state, gateway)
    yield from check_gateway(state)
    yield check_scp_port(gateway, state)
    yield from check_echo(gateway, state)
    if gateway.tls_certificate is not None:
        yield check_scp_certificate(gateway, state)
    yield check_admin_port(gateway, state)
    answers = ask_server(gateway)
    yield from check_server(answers)
    yield check_server_port(settings.server)
    yield from check_state_folder(gateway, state)
    yield check_journal(state, gateway)
    yield from check_outbox(state)
    yield from check_aside(state)
    yield from check_clock(datetime.now(UTC), watch.step(), state, answers.health.ahead)
    yield check_open_files(gateway, state)
    yield check_sqlite()
    yield from check_senders(state)
    yield check_quiet_period(state)


def _check_settings(settings: Settings) -> Iterator[Finding]:
    """Check that the files which the settings name can be used; the settings are right already."""
    name = "settings"
    gateway, server = settings.gateway, settings.server
    try:
        for section in (gateway, server):
            if section.tls_certificate is not None and section.tls_private_key is not None:
                server_context(
                    section.tls_certificate, section.tls_private_key, section.tls_client_ca
                )
    except CannotStart as error:
        yield problem(name, str(error))
    else:
        yield ok(name, "they are right")
