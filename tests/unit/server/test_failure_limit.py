"""Addresses that show wrong tokens are blocked for a while."""

from __future__ import annotations

import pytest

from seriesgate.server.access.failure_limit import FailureLimit


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limit(clock):
    return FailureLimit(clock, failures=3, period=60.0, max_addresses=100)


def test_address_is_blocked_by_its_last_failure_until_its_window_ends(limit, clock):
    assert [limit.failed("10.0.0.1") for _ in range(3)] == [False, False, True]
    assert limit.blocked_for("10.0.0.1") == 60.0
    assert limit.blocked_for("10.0.0.2") is None
    clock.now += 59.0
    assert limit.blocked_for("10.0.0.1") == 1.0
    clock.now += 1.0
    assert limit.blocked_for("10.0.0.1") is None
    assert limit.failed("10.0.0.1") is False


def test_few_failures_block_nobody(limit, clock):
    for _ in range(10):
        assert limit.failed("10.0.0.1") is False
        assert limit.failed("10.0.0.1") is False
        assert limit.blocked_for("10.0.0.1") is None
        clock.now += 60.0


def test_ipv6_client_is_its_network(limit):
    for host in range(3):
        limit.failed(f"2001:db8::{host}")
    assert limit.blocked_for("2001:db8::ffff:1") is not None
    assert limit.blocked_for("2001:db8:0:1::1") is None


def test_ipv4_in_ipv6_is_one_address(limit):
    for _ in range(3):
        limit.failed("::ffff:10.0.0.1")
    assert limit.blocked_for("::ffff:10.0.0.2") is None


def test_failures_at_other_workers_count_and_are_told_of_once(clock):
    told: list[str] = []
    limit = FailureLimit(clock, failures=3, tell=told.append)
    assert limit.heard_of("10.0.0.1") is False
    assert limit.failed("10.0.0.1") is False
    assert limit.failed("10.0.0.1") is True
    assert limit.blocked_for("10.0.0.1") == 60.0
    assert told == ["10.0.0.1"] * 2


def test_client_without_an_address_is_one_too(limit):
    for _ in range(3):
        limit.failed("")
    assert limit.blocked_for("") is not None


def test_memory_is_bounded_and_the_newest_are_kept(limit):
    for number in range(1000):
        for _ in range(3):
            limit.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(limit._windows) == 100
    assert limit.blocked_for("10.0.3.231") is not None
    assert limit.blocked_for("10.0.0.0") is None
