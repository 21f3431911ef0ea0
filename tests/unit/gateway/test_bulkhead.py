from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest
from tests.fakes import FakeClock

from seriesgate.containment import Unit, contained
from seriesgate.gateway.bulkhead import Bulkheads, NoSuchUnit, unit_id_of
from seriesgate.gateway.deaths import NOT_AT_ALL, WITH_CARE, Deaths
from seriesgate.gateway.ports import JournalFailed, JournalFull, SpoolUnavailable

UNEXPECTED = [ValueError, RecursionError, MemoryError, UnicodeError, OverflowError, KeyError]
EXPECTED = [JournalFailed, JournalFull, SpoolUnavailable, asyncio.CancelledError, KeyboardInterrupt]


@pytest.mark.parametrize("kind", UNEXPECTED)
def test_what_is_unexpected_is_put_aside_and_can_be_tried_again(kind, caplog):
    bulkheads = Bulkheads(FakeClock())
    again: list[str] = []
    with bulkheads.unit("delivery", "Doe^Jane", lambda: again.append("1")):
        raise kind("Doe^Jane")
    (unit,) = bulkheads.aside()
    assert unit.task == "delivery"
    assert unit.reason.startswith(f"{kind.__name__} at test_bulkhead.py:")
    assert bulkheads.totals() == {"delivery": 1}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"`seriesgate aside retry {unit.unit_id[:8]}`" in record.getMessage()
    assert "Doe" not in caplog.text
    assert bulkheads.retry(unit.unit_id[:8]) == unit.unit_id
    assert again == ["1"]
    assert bulkheads.aside() == ()


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_is_expected_goes_through(kind):
    bulkheads = Bulkheads(FakeClock())
    with pytest.raises(kind), bulkheads.unit("delivery", "1"):
        raise kind
    assert bulkheads.aside() == ()


def test_unit_that_fails_again_is_counted_and_one_that_succeeds_is_forgotten():
    bulkheads = Bulkheads(FakeClock())
    for _ in range(3):
        with bulkheads.unit("heartbeat", ""):
            raise ValueError
    (unit,) = bulkheads.aside()
    assert unit.times == 3
    with bulkheads.unit("heartbeat", ""):
        pass
    assert bulkheads.aside() == ()
    assert bulkheads.totals() == {"heartbeat": 3}


def test_only_an_id_that_is_put_aside_is_tried_again():
    bulkheads = Bulkheads(FakeClock())
    again: list[str] = []
    for name in ("1", "2"):
        bulkheads.put_aside("closing", name, "ValueError", partial(again.append, name))
    bulkheads.put_aside("heartbeat", "", "ValueError")
    for beginning in ("", unit_id_of("closing", "1")[:7], unit_id_of("heartbeat", ""), "0" * 16):
        with pytest.raises(NoSuchUnit):
            bulkheads.retry(beginning)
    assert bulkheads.retry_all() == 2
    assert again == ["1", "2"]
    assert [unit.task for unit in bulkheads.aside()] == ["heartbeat"]


def test_contained_says_what_was_raised_and_where():
    unit = Unit()
    with contained(unit, ()):
        raise OverflowError("a name of a patient")
    assert unit.failure.startswith("OverflowError at test_bulkhead.py:")


class Note:
    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, unit_id: str) -> None:
        self.said.append(unit_id)

    def end(self) -> None:
        self.said.append("")


def test_what_is_under_way_is_noted_until_it_is_over_however_it_ends():
    note = Note()
    deaths = Deaths(note, {})
    with pytest.raises(ValueError, match="x"), deaths.noted("closing", "1.2"):
        raise ValueError("x")
    assert note.said == [unit_id_of("closing", "1.2"), ""]


def test_deaths_are_counted_by_unit_and_forgotten():
    unit_id = unit_id_of("closing", "1.2")
    deaths = Deaths(Note(), {unit_id: NOT_AT_ALL})
    assert deaths.of("closing", "1.2") == NOT_AT_ALL
    assert deaths.of("closing", "1.3") == deaths.of("reading", "1.2") == 0
    deaths.allow("closing", "1.2")
    deaths.allow("closing", "1.3")
    assert deaths.of("closing", "1.2") == WITH_CARE
    assert deaths.of("closing", "1.3") == 0
    assert deaths.forget("closing", "1.2") == unit_id
    assert deaths.forget("closing", "1.2") is None
