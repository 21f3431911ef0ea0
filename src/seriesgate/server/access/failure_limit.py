"""Slows down whoever tries tokens: so many failures per address, then nothing for a while."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_IPV6_NETWORK_BITS = 64


class FailureLimit:
    """Counts the failures of each address in windows of `period` seconds.

    An address with `failures` of them is blocked until its window ends. `monotonic` is the clock.
    At most `max_addresses` are remembered, those whose windows began last. `tell` gets the address
    of each failure, for the server's other workers, which count it by `heard_of`.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        failures: int = 20,
        period: float = 60.0,
        max_addresses: int = 10_000,
        tell: Callable[[str], None] = lambda _address: None,
    ) -> None:
        self._monotonic = monotonic
        self._failures = failures
        self._period = period
        self._max_addresses = max_addresses
        self._tell = tell
        # The end of the window and the failures in it; in the order of the ends.
        self._windows: dict[str, tuple[float, int]] = {}

    def blocked_for(self, address: str) -> float | None:
        """Return for how many seconds an address is blocked, None if it is not."""
        end, failures = self._windows.get(_network(address), (0.0, 0))
        left = end - self._monotonic()
        return left if left > 0 and failures >= self._failures else None

    def failed(self, address: str) -> bool:
        """Count a failure; return whether it is the one that blocks the address."""
        self._tell(address)
        return self.heard_of(address)

    def heard_of(self, address: str) -> bool:
        """Count a failure that another worker of the server has seen, and told. See `failed`."""
        now = self._monotonic()
        key = _network(address)
        end, failures = self._windows.get(key, (0.0, 0))
        if end <= now:
            self._windows.pop(key, None)
            end, failures = now + self._period, 0
            while len(self._windows) >= self._max_addresses:
                del self._windows[next(iter(self._windows))]
        self._windows[key] = (end, failures + 1)
        return failures + 1 == self._failures


def _network(address: str) -> str:
    """Give what is one client: of IPv6, the network that a client has to itself (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a client on a Unix socket has none
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> _IPV6_NETWORK_BITS)
    return str(parsed)
