"""How long a certificate is still valid."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, cast

from seriesgate.wiring.doctor.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 5.0
_DAY = 86400.0
# So many days before its end somebody must renew it; most that renew by themselves do so at thirty.
_SOON = 21


def days_left(address: tuple[str, int], context: ssl.SSLContext) -> float:
    """Return how many days the certificate at an address is valid.

    Raises ssl.SSLCertVerificationError when it is not, or not trusted by `context`; OSError.
    """
    with (
        socket.create_connection(address, _TIMEOUT) as raw,
        context.wrap_socket(raw, server_hostname=address[0]) as secured,
    ):
        return days_until_end(secured.getpeercert() or {})


def days_until_end(certificate: Mapping[str, object]) -> float:
    """Return how many days are left of one that `SSLSocket.getpeercert` has returned."""
    ends = ssl.cert_time_to_seconds(cast("str", certificate["notAfter"]))
    return (ends - time.time()) / _DAY


def judge_days(name: str, what: str, days: float) -> Finding:
    """Judge how many days are left. `what` names what to renew."""
    if days < 0:
        return problem(name, f"it has expired: renew {what}")
    text = f"it is valid for {days:.0f} days"
    return warning(name, f"{text}: renew {what}") if days < _SOON else ok(name, text)
