from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.series.pauses import BOUNDS, SHORTEST, PauseHistogram

PAUSES = st.lists(st.one_of(st.floats(0, 2000), st.sampled_from(BOUNDS)))


def histogram(pauses):
    made = PauseHistogram()
    for pause in pauses:
        made.add(pause)
    return made


@given(PAUSES)
def test_pauses_of_each_length_or_more_are_counted_exactly(pauses):
    made = histogram(pauses)
    for bound in BOUNDS:
        assert made.at_least(bound) == sum(pause >= bound for pause in pauses)


@given(PAUSES)
def test_short_pauses_leave_no_trace_and_no_other_is_lost(pauses):
    assert sum(histogram(pauses).counts) == sum(pause >= SHORTEST for pause in pauses)


@given(PAUSES, PAUSES)
def test_merging_is_as_counting_all(some, others):
    made = histogram(some)
    made.merge(histogram(others))
    assert made == histogram([*some, *others])


@given(PAUSES)
def test_longer_pauses_are_never_more(pauses):
    made = histogram(pauses)
    counts = [made.at_least(bound) for bound in BOUNDS]
    assert all(shorter >= longer for shorter, longer in itertools.pairwise(counts))


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.499])
def test_pause_of_a_clock_that_was_set_back_is_none(seconds):
    assert histogram([seconds]) == PauseHistogram()


def test_counts_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="classes"):
        PauseHistogram([1, 2])
