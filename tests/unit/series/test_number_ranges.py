from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from seriesgate.series.number_ranges import joined, missing_numbers, ranges_of

numbers = st.sets(st.integers(-30, 30))
MOST = 1000


def members(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(numbers)
def test_ranges_hold_the_numbers_and_no_others_and_do_not_touch(found):
    ranges = ranges_of(found)
    assert members(ranges) == found
    assert all(lower.last + 1 < upper.first for lower, upper in itertools.pairwise(ranges))


@given(numbers, numbers)
def test_joined_ranges_are_those_of_all_numbers(known, added):
    assert joined(ranges_of(known), ranges_of(added)) == ranges_of(known | added)


@given(numbers)
def test_missing_numbers_are_the_holes_between_least_and_greatest(found):
    least, most = min(found, default=0), max(found, default=0)
    assert missing_numbers(ranges_of(found), MOST) == sorted(set(range(least, most)) - found)


def test_missing_numbers_of_a_hostile_series_are_bounded():
    far = 2**31 - 1
    assert missing_numbers(ranges_of({0, far}), MOST) == list(range(1, 1 + MOST))
    assert len(missing_numbers(ranges_of({0, 700, far}), MOST)) == MOST
