from __future__ import annotations

import pytest

from seriesgate.gateway.throughput import Throughput, ThroughputMeter
from seriesgate.gateway.totals import BOUNDS, GatewayTotals, Histogram


def test_means_are_over_the_latest_window():
    meter = ThroughputMeter(window=60.0)
    for second in range(0, 300, 5):
        meter.sample(float(second), second * 2, second * 1000)
    throughput = meter.read(300.0, 600, 300_000)
    assert throughput.seconds == pytest.approx(65.0, abs=5.1)
    assert throughput.instances == pytest.approx(2.0)
    assert throughput.bytes == pytest.approx(1000.0)


def test_nothing_is_known_before_the_first_sample():
    meter = ThroughputMeter()
    assert meter.read(1.0, 5, 5) == Throughput(0.0, 0.0, 0.0)
    meter.sample(1.0, 5, 5)
    assert meter.read(1.0, 9, 9) == Throughput(0.0, 0.0, 0.0)


def test_duration_on_a_bound_falls_below_it_and_a_negative_one_is_none():
    histogram = Histogram()
    for seconds in (BOUNDS[0], BOUNDS[-1] + 1.0, -3.0):
        histogram.observe(seconds)
    assert (histogram.counts[0], histogram.counts[-1], sum(histogram.counts)) == (2, 1, 3)
    assert histogram.sum == BOUNDS[0] + BOUNDS[-1] + 1.0


def test_copy_of_the_totals_does_not_move_on():
    totals = GatewayTotals()
    copy = totals.copy()
    totals.attempt_seconds.observe(1.0)
    totals.instances_stored += 1
    assert copy == GatewayTotals()
