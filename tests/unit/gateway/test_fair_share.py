from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.gateway.fair_share import oldest_of_the_busiest_host, share_of


@pytest.mark.parametrize(("bound", "share"), [(1, 1), (2, 1), (3, 2), (64, 32), (4096, 2048)])
def test_share_is_half_and_at_least_one(bound, share):
    assert share_of(bound) == share


@pytest.mark.parametrize(
    ("items", "gone"), [("a1", "a1"), ("a1 b1", "a1"), ("a1 b1 b2", "b1"), ("a1 b1 b2 a2", "a1")]
)
def test_busiest_host_loses_its_oldest(items, gone):
    assert oldest_of_the_busiest_host(items.split(), lambda item: item[0]) == gone


@given(st.lists(st.sampled_from("abcd"), min_size=1))
def test_whoever_goes_is_of_a_host_that_has_most(hosts):
    items = list(enumerate(hosts))
    number, host = oldest_of_the_busiest_host(items, lambda item: item[1])
    assert Counter(hosts)[host] == max(Counter(hosts).values())
    assert host not in hosts[:number]
