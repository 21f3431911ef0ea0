"""What is asked of the kernel for the connection of an association."""

from __future__ import annotations

import socket
import struct

_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


def send_at_once(connection: socket.socket) -> None:
    """Have each write leave by itself: Nagle's algorithm is off."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_alive(connection: socket.socket) -> None:
    """Have the kernel notice within about two minutes that a silent peer's machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):  # elsewhere the system's own times apply
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def set_timeouts(connection: socket.socket, receive: float, send: float) -> None:
    """Set the kernel's own timeouts, in seconds: one call per read instead of poll and read."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(receive))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send))


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
