from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seriesgate.gateway.repetition_limit import RepetitionLimit, Repetitions


def test_first_is_told_and_the_rest_is_summed_up_once_a_period():
    limit = RepetitionLimit(period=60.0)
    assert limit.is_first("a", 0.0)
    assert not any(limit.is_first("a", float(second)) for second in range(1, 50))
    assert limit.is_first("b", 30.0)
    assert limit.take_due(59.9) == []
    assert limit.take_due(60.0) == [Repetitions("a", 49, 60.0)]
    assert limit.take_due(119.9) == []


def test_what_stops_is_a_first_again():
    limit = RepetitionLimit(period=60.0)
    limit.is_first("a", 0.0)
    limit.is_first("a", 1.0)
    limit.take_due(60.0)
    assert limit.take_due(120.0) == []
    assert limit.is_first("a", 121.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 20)), max_size=200))
def test_each_is_told_or_summed_up_and_lines_are_bounded(steps):
    limit = RepetitionLimit(period=60.0, max_kinds=5)
    now, lines, suppressed = 0.0, 0, 0
    for kind, pause in steps:
        now += pause
        lines += limit.is_first(str(kind), now)
        due = limit.take_due(now)
        lines += len(due)
        suppressed += sum(each.count for each in due)
    end = limit.take_due(now + 61.0)
    firsts = len(steps) - suppressed - sum(each.count for each in end)
    # Five kinds and the others: a first line and a sum for each, every period.
    assert 0 <= firsts <= lines <= 2 * 6 * (1 + now / 60.0)
