"""When a worker that has ended is started again. What it is for is shown by tests/e2e."""

from __future__ import annotations

import pytest

from seriesgate.wiring.server_workers import seconds_to_wait


@pytest.mark.parametrize(
    ("lived", "short_lives", "seconds"),
    [
        (3600.0, 0, 0.0),
        (10.0, 5, 0.0),
        (9.9, 0, 1.0),
        (0.1, 1, 2.0),
        (0.1, 4, 16.0),
        (0.1, 5, 30.0),
    ],
)
def test_worker_that_dies_young_waits_longer_each_time(lived, short_lives, seconds):
    assert seconds_to_wait(lived, short_lives) == seconds


def test_wait_is_bounded_however_often_it_dies():
    assert seconds_to_wait(0.1, 2_000) == 30.0
