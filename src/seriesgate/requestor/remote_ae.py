"""Where an association is opened to, and under which names."""

from __future__ import annotations

from dataclasses import dataclass

from seriesgate.ae_title import checked_ae_title

_MAX_PORT = 65535
_PORT_DIGITS = 5
# So much of what is no port is repeated to whoever wrote it.
_SHOWN = 32


@dataclass(frozen=True, slots=True)
class RemoteAE:
    """A peer: its address, its AE title, and the AE title we call it with.

    The AE titles are kept without their padding. Raises ValueError, with a text for people, when
    an AE title breaks the rules of PS3.5 6.2 (VR AE) or the port is no TCP port.
    """

    host: str
    port: int
    called_ae_title: str = "STORESCP"
    calling_ae_title: str = "SERIESGATE"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= _MAX_PORT:
            raise ValueError(f"the port must be 1 to {_MAX_PORT}, not {self.port}")
        object.__setattr__(self, "called_ae_title", checked_ae_title(self.called_ae_title))
        object.__setattr__(self, "calling_ae_title", checked_ae_title(self.calling_ae_title))

    @property
    def address(self) -> str:
        """HOST:PORT, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, where an IPv6 address stands in brackets: `[::1]:104`.

    Raises ValueError with a text for people.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"write an IPv6 address in brackets, as [::1]:104, not {text!r}")
    if not colon or not host or any(character in host for character in " \t[]/"):
        raise ValueError(f"write the address as HOST:PORT, as 127.0.0.1:6667, not {text!r}")
    is_number = len(port) <= _PORT_DIGITS and port.isascii() and port.isdigit()
    if not (is_number and 1 <= int(port) <= _MAX_PORT):
        raise ValueError(f"the port must be 1 to {_MAX_PORT}, not {port[:_SHOWN]!r}")
    return host, int(port)
