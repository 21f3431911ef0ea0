"""A listening TCP socket, or one clear line why there is none."""

from __future__ import annotations

import errno
import socket

from seriesgate.startup import CannotStart

_FIRST_UNPRIVILEGED = 1024
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class ListenError(CannotStart):
    """An address cannot be listened on."""


class PortTaken(ListenError):
    """Another program listens there, or this one already."""


def bind_listener(host: str, port: int, backlog: int = 512) -> socket.socket:
    """Return a socket that listens on `host`:`port`. Raises ListenError.

    The address may be taken again at once after a restart, but not while another program has it.
    """
    listener = _bound(host, port)
    listener.listen(backlog)
    return listener


def check_listener(host: str, port: int) -> None:
    """Raise ListenError if `host`:`port` can't be listened on. Nobody can connect meanwhile."""
    _bound(host, port).close()


def reachable_host(host: str) -> str:
    """Return by which address this machine reaches its own listener on `host`."""
    return _ANY_ADDRESS.get(host, host)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        failure = PortTaken if error.errno == errno.EADDRINUSE else ListenError
        raise failure(f"cannot listen on {host}:{port}: {_explain(error, port)}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return HOST:PORT of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _explain(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has this port; stop it, or choose another port"
    if error.errno == errno.EACCES and port < _FIRST_UNPRIVILEGED:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port"
    return error.strerror or str(error)
