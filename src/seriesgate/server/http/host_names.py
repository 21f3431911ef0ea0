"""By which names the server may be called. Pure.

A page that a browser has open can lead its own name to this machine (DNS rebinding), and may then
read what it is answered. It can't lead an address here, nor `localhost`; it has no token, and no
cookie of another name. So the name matters where no token is asked for, and where names are set.
Decided in ADR 56.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 300  # a name of 253 characters (RFC 1035 2.3.4) and a port


class HostNames:
    """`localhost`, every IP address, and the names that are listed; in any case, with any port."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = frozenset(_plain(name) for name in listed)

    @property
    def are_listed(self) -> bool:
        """Whether there are names besides `localhost` and the addresses."""
        return bool(self._listed)

    def include(self, authority: str) -> bool:
        """Return whether a Host header (RFC 9110 7.2) has one of the names. Any port will do.

        The port is another one where a tunnel leads here.
        """
        name = _name_of(authority)
        return name is not None and (name in self._listed or _is_nobodys(name))

    def are_origin(self, origin: str, authority: str) -> bool:
        """Return whether an Origin header (RFC 6454 7) names this server.

        It does if it has the name and port that the server was called by, or a listed name. The
        scheme may be another one where a proxy ends TLS.
        """
        if len(origin) > _LONGEST:
            return False
        _, has_scheme, rest = origin.partition("://")
        if not has_scheme:  # "null": a page that must not say where it is from
            return False
        return rest.lower() == authority.lower() or _name_of(rest) in self._listed


@lru_cache(256)  # every request has one, and nearly all have the same
def _name_of(authority: str) -> str | None:
    if len(authority) > _LONGEST:
        return None
    try:
        name = urlsplit(f"//{authority}").hostname
    except ValueError:
        return None
    return _plain(name) if name and "@" not in authority else None


def _is_nobodys(name: str) -> bool:
    """Return whether nobody can lead this name anywhere: it is an address, or `localhost`."""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
