"""No host takes more than its share of what is bounded (ADR 54). Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_T = TypeVar("_T")


def share_of(bound: int) -> int:
    """Return how many of `bound` one host may have where nothing else is said: half, rounded up."""
    return -(-bound // 2)


def oldest_of_the_busiest_host(items: Collection[_T], host_of: Callable[[_T], str]) -> _T:
    """Return who has to go when there is no room: the host with the most of it loses its oldest.

    `items`: at least one, the oldest first. So a host that comes again and again, under whatever
    names, pushes out what is its own and nobody else's. Of hosts that have equally many, the one
    with the oldest item loses it.
    """
    per_host = Counter(map(host_of, items))
    (busiest, _), *_ = per_host.most_common(1)
    return next(item for item in items if host_of(item) == busiest)
