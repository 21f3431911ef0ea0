"""Who has to go when there are too many connections, so that nobody is kept out (ADR 54). Pure.

A connection that waits for a request may be closed at any time (RFC 9112 9.3): whoever comes to ask
something has its place. One whose request is being answered is never cut off for another.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection


class Place(Protocol):
    """A connection."""

    @property
    def address(self) -> str:
        """Of its client."""

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for a request, or for the rest of its head; None while it works."""


_Place = TypeVar("_Place", bound=Place)


def share_of(limit: int) -> int:
    """Return how many of `limit` connections one address may have: half of them."""
    return max(1, limit // 2)


def who_must_go(
    newcomer: _Place, places: Collection[_Place], limit: int, share: int
) -> _Place | None:
    """Return which connection to cut off because of `newcomer`, if any.

    `places` are all connections, the new one too, of which there are to be fewer than `limit`. An
    address beyond its `share` makes room itself. Otherwise the address with the most does. A proxy
    speaks for many: its share is all of them.
    """
    if len(places) <= min(share, limit - 1):
        return None
    of_address = Counter(place.address for place in places)
    if of_address[newcomer.address] > share:
        own = [place for place in places if place.address == newcomer.address]
        return _longest_waiting(newcomer, own, of_address) or newcomer
    if len(places) >= limit:
        return _longest_waiting(newcomer, places, of_address)
    return None


def _longest_waiting(
    newcomer: _Place, places: Collection[_Place], of_address: Counter[str]
) -> _Place | None:
    """Return the one that has waited longest, of the address with the most connections."""
    waiting = [
        (-of_address[place.address], place.waits_since, number, place)
        for number, place in enumerate(places)
        if place.waits_since is not None and place is not newcomer
    ]
    return min(waiting)[-1] if waiting else None
