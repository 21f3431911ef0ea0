from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.server.http.places import share_of, who_must_go


@dataclass(frozen=True, eq=False)
class Connection:
    address: str
    waits_since: float | None


def waiting(address, since=0.0):
    return Connection(address, since)


def working(address):
    return Connection(address, None)


def crowd(count, address="evil", make=waiting):
    return [make(address) for _ in range(count)]


@pytest.mark.parametrize(("limit", "share"), [(1, 1), (2, 1), (3, 1), (64, 32), (1000, 500)])
def test_share_is_half_and_never_none(limit, share):
    assert share_of(limit) == share


def test_address_within_its_share_costs_nobody():
    newcomer = waiting("evil")
    assert who_must_go(newcomer, [*crowd(3), newcomer], 8, share_of(8)) is None


def test_address_beyond_its_share_loses_the_one_that_has_waited_longest():
    oldest, newcomer = waiting("evil", 1.0), waiting("evil", 9.0)
    places = [*[waiting("evil", 5.0) for _ in range(3)], oldest, waiting("good", 0.0), newcomer]
    assert who_must_go(newcomer, places, 8, share_of(8)) is oldest


def test_address_whose_share_is_all_at_work_gets_no_more():
    newcomer = waiting("evil")
    places = [*crowd(4, make=working), waiting("good"), newcomer]
    assert who_must_go(newcomer, places, 8, share_of(8)) is newcomer


def test_last_place_is_made_free_by_the_address_with_the_most_connections():
    newcomer = waiting("new", 9.0)
    old = waiting("good", 1.0)
    places = [old, *[waiting("evil", 5.0) for _ in range(4)], waiting("other", 2.0), newcomer]
    gone = who_must_go(newcomer, places, 7, share_of(7))
    assert gone is not None
    assert gone.address == "evil"


def test_whoever_works_keeps_its_place_and_another_address_makes_room():
    newcomer, idle = waiting("new", 9.0), waiting("good", 8.0)
    places = [*crowd(4, make=working), idle, newcomer]
    assert who_must_go(newcomer, places, 6, share_of(6)) is idle
    all_at_work = [*crowd(3, make=working), *crowd(3, "other", working), newcomer]
    assert who_must_go(newcomer, all_at_work, 7, share_of(7)) is None


def test_proxy_may_have_all_places_and_makes_room_only_at_the_end():
    newcomer = waiting("proxy", 9.0)
    assert who_must_go(newcomer, [*crowd(6, "proxy"), newcomer], 8, 8) is None
    oldest = waiting("proxy", -1.0)
    places = [*crowd(6, "proxy"), oldest, newcomer]
    assert who_must_go(newcomer, places, 8, 8) is oldest


moves = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 9)), min_size=1, max_size=60
)


@given(moves, st.integers(1, 12))
def test_no_address_has_more_than_its_share_and_no_work_is_broken_off(coming, limit):
    places: list[Connection] = []
    for address, is_waiting, since in coming:
        newcomer = Connection(address, float(since) if is_waiting else None)
        places.append(newcomer)
        gone = who_must_go(newcomer, places, limit, share_of(limit))
        if gone is not None:
            assert gone is newcomer or gone.waits_since is not None
            places.remove(gone)
        assert sum(place.address == address for place in places) <= share_of(limit)
        kept_out = [place for place in places if place.waits_since is not None]
        assert len(places) < limit or kept_out in ([], [newcomer]) or gone is newcomer
