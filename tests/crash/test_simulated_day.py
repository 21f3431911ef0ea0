"""A few short days of the simulation; `make simulate` has the long ones."""

from __future__ import annotations

import pytest
from tests.crash.simulation import BusyDay

from seriesgate.adapters.spool.file_spool import Durability


@pytest.mark.fault("F1", "F3", "F4", "F8", "F15", "F16", "F24")
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_on_a_busy_day(seed):
    day = BusyDay(seed, series=120)
    day.run()
    assert day.counts["rows"] > 100
    assert day.counts["starts"] > 1


def test_same_seed_is_the_same_day():
    first, second = (BusyDay(7, 30, Durability.POWER) for _ in range(2))
    first.run()
    second.run()
    assert first.counts == second.counts
