"""Checks of what the programs listen on: the ports, and the Storage SCP by a C-ECHO."""

from __future__ import annotations

import os
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING

from seriesgate.listener import ListenError, PortTaken, check_listener, reachable_host
from seriesgate.requestor import storage_scu
from seriesgate.requestor.association_errors import AssociationError, PeerUnreachableError
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.wiring.doctor.certificate import days_left, judge_days
from seriesgate.wiring.doctor.finding import Finding, ok, problem, skipped, warning
from seriesgate.wiring.doctor.server import is_server_there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.settings.gateway import GatewaySettings
    from seriesgate.settings.server import ServerSettings
    from seriesgate.wiring.doctor.gateway_state import GatewayState

_SCP, _ADMINISTRATION, _SERVER = "scp port", "admin port", "server port"
_ECHO, _CERTIFICATE = "scp echo", "scp certificate"
_CALLING_AE_TITLE = "DOCTOR"
_TIMEOUT = 5.0
_OTHERS = "another program has the port: stop it (`ss -ltnp` names it), or choose another"


def check_scp_port(settings: GatewaySettings, state: GatewayState) -> Finding:
    """Check that the port of the Storage SCP is the gateway's, or free for it."""
    return _gateways_port(_SCP, "scp", settings.scp_host, settings.scp_port, state)


def check_admin_port(settings: GatewaySettings, state: GatewayState) -> Finding:
    """Check that the port of the administration is the gateway's, or free for it."""
    return _gateways_port(_ADMINISTRATION, "admin", settings.admin_host, settings.admin_port, state)


def check_server_port(settings: ServerSettings) -> Finding:
    """Tell who has the port that a server of these settings would listen on.

    A machine may have a gateway alone: then another program may have it.
    """
    address = f"{settings.host}:{settings.port}"
    try:
        check_listener(settings.host, settings.port)
    except PortTaken:
        if settings.tls_client_ca is not None:
            return skipped(_SERVER, f"whoever has {address} may want a certificate")
        if is_server_there(settings):
            return ok(_SERVER, f"{address}: the server has it")
        return warning(_SERVER, f"{address}: {_OTHERS} (server.port), if a server is to run here")
    except ListenError as error:
        return warning(_SERVER, f"{error} (server.host, server.port), if a server is to run here")
    return ok(_SERVER, f"{address} is free: no server runs here")


def check_echo(settings: GatewaySettings, state: GatewayState) -> Iterator[Finding]:
    """Check that the Storage SCP answers a C-ECHO of one that may send."""
    host = reachable_host(settings.scp_host)
    obstacle = _obstacle(settings, state, host)
    if obstacle:
        yield skipped(_ECHO, obstacle)
        return
    titles = settings.allowed_calling_ae_titles
    calling = titles[0] if titles else _CALLING_AE_TITLE
    destination = RemoteAE(host, settings.scp_port, settings.ae_title, calling)
    try:
        seconds = storage_scu.echo(destination, timeout=_TIMEOUT, tls=_trusting_itself(settings))
    except AssociationError as error:
        is_missing = isinstance(error, PeerUnreachableError)
        remedy = "is it gateway.scp_port of the gateway that runs?" if is_missing else "see the log"
        yield problem(_ECHO, f"{error}; {remedy}")
        return
    yield ok(
        _ECHO,
        f"{settings.ae_title} at {destination.address} answers {calling} in "
        f"{1000 * seconds:.1f} ms",
    )


def check_scp_certificate(settings: GatewaySettings, state: GatewayState) -> Finding:
    """Check how long the certificate of the Storage SCP is valid, as it shows it itself."""
    obstacle = _obstacle(settings, state, reachable_host(settings.scp_host))
    context = None if obstacle else _trusting_itself(settings)
    if context is None:
        return skipped(_CERTIFICATE, obstacle or "it speaks no TLS")
    address = (reachable_host(settings.scp_host), settings.scp_port)
    try:
        return judge_days(_CERTIFICATE, "gateway.tls_certificate", days_left(address, context))
    except ssl.SSLCertVerificationError as error:
        return problem(
            _CERTIFICATE, f"it is not valid ({error.verify_message}): renew gateway.tls_certificate"
        )
    except OSError as error:
        return problem(_CERTIFICATE, f"no TLS there: {error.strerror or error}")


def _gateways_port(name: str, setting: str, host: str, port: int, state: GatewayState) -> Finding:
    address = f"{host}:{port}"
    try:
        check_listener(host, port)
    except PortTaken:
        if state.is_running:
            return ok(name, f"{address}: the gateway has it")
        if state.is_mute:
            return skipped(name, f"{address} is taken, and the gateway does not tell by whom")
        return problem(name, f"{address}: {_OTHERS} (gateway.{setting}_port)")
    except ListenError as error:
        return problem(name, f"{error} (gateway.{setting}_host, gateway.{setting}_port)")
    if state.is_running:
        return problem(
            name,
            f"nothing listens at {address}: the gateway that runs has other settings; restart it, "
            "or name them with --config",
        )
    return ok(name, f"{address} is free")


def _obstacle(settings: GatewaySettings, state: GatewayState, host: str) -> str:
    if not state.is_running:
        return "no gateway runs"
    networks = settings.allowed_networks
    try:
        if networks and not any(ip_address(host) in network for network in networks):
            return f"{host}, this machine, is not in gateway.allowed_networks"
    except ValueError:
        return f"{host} is a name, and gateway.allowed_networks has addresses"
    certificate = settings.tls_certificate
    if certificate is not None and not os.access(certificate, os.R_OK):
        return f"this user may not read {certificate}"
    if settings.tls_client_ca is not None:
        return "the Storage SCP wants a certificate of gateway.tls_client_ca: try it from a sender"
    return ""


def _trusting_itself(settings: GatewaySettings) -> ssl.SSLContext | None:
    """Return a context that trusts the SCP's own certificate, whoever issued it."""
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(settings.tls_certificate)
    return context
