from __future__ import annotations

import pytest

from seriesgate.gateway.ports import Owed
from seriesgate.gateway.schedule import DeliverySchedule


def owed(series: str, revision: int = 1) -> Owed:
    return Owed(f"{series}/{revision}", series)


def take_all(schedule: DeliverySchedule, now: float) -> list[str]:
    taken = []
    while (due := schedule.take_due(now)) is not None:
        taken.append(due.delivery_id)
    return taken


def test_new_delivery_is_due_at_once_and_taken_once():
    schedule = DeliverySchedule()
    assert schedule.next_due() is None
    schedule.add(owed("a"), now=5.0)
    assert schedule.next_due() == 5.0
    assert schedule.take_due(4.9) is None
    assert take_all(schedule, 5.0) == ["a/1"]
    assert schedule.next_due() is None


def test_revisions_of_a_series_go_out_in_order():
    schedule = DeliverySchedule()
    first, second = owed("a", 1), owed("a", 2)
    schedule.add(first, 0.0)
    schedule.add(second, 0.0)
    assert take_all(schedule, 0.0) == ["a/1"]
    schedule.retry(first, 7.0)
    assert take_all(schedule, 6.9) == []
    assert take_all(schedule, 7.0) == ["a/1"]
    schedule.remove(first, 7.0)
    assert take_all(schedule, 7.0) == ["a/2"]
    schedule.remove(second, 7.0)
    schedule.add(owed("a", 3), 8.0)
    assert take_all(schedule, 8.0) == ["a/3"]


@pytest.mark.fault("F14")
def test_failing_series_holds_up_no_other():
    schedule = DeliverySchedule()
    failing = owed("a")
    schedule.add(failing, 0.0)
    schedule.take_due(0.0)
    schedule.retry(failing, 300.0)
    schedule.add(owed("b"), 1.0)
    assert take_all(schedule, 1.0) == ["b/1"]
    assert schedule.next_due() == 300.0


def test_longest_due_goes_first_and_equals_in_order_of_arrival():
    schedule = DeliverySchedule()
    for series in ("c", "a", "b"):
        schedule.add(owed(series), 1.0)
    schedule.add(owed("d"), 0.5)
    assert take_all(schedule, 2.0) == ["d/1", "c/1", "a/1", "b/1"]
