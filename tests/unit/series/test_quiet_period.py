from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.series.pauses import PauseHistogram
from seriesgate.series.quiet_period import (
    CHOICES,
    ENOUGH_SERIES,
    Advice,
    LateArrivals,
    Recommendation,
    joint_recommendation,
)


def arrivals(present, series, *pauses):
    """Return what is known of series with these pauses: each that is too long made a revision."""
    seen = PauseHistogram()
    for pause in pauses:
        seen.add(pause)
    return LateArrivals(present, series, sum(pause >= present for pause in pauses), seen)


def advice(present, series, *pauses):
    made = arrivals(present, series, *pauses).recommendation()
    return made.advice, made.seconds


ARRIVALS = st.builds(
    lambda present, series, pauses: arrivals(present, series, *pauses),
    st.sampled_from([0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 60.0]),
    st.integers(0, 2000),
    st.lists(st.floats(0, 1000), max_size=60),
)


def test_pauses_tell_what_would_be_late_at_each_quiet_period():
    seen = arrivals(1.0, 100, 0.6, 1.5, 3.0, 7.0, 7.0, 700.0)
    assert [seen.late_at(choice) for choice in CHOICES] == [5, 4, 3, 1, 1, 1]


def test_shorter_period_than_the_present_one_is_known_from_pauses_that_did_no_harm():
    seen = arrivals(5.0, 100, 0.6, 1.5, 3.0, 7.0)
    assert [seen.late_at(choice) for choice in CHOICES] == [3, 2, 1, 0, 0, 0]


@given(ARRIVALS)
def test_a_longer_period_never_makes_more_series_late(seen):
    late = [seen.late_at(choice) for choice in CHOICES]
    assert all(shorter >= longer for shorter, longer in itertools.pairwise(late))
    for choice in CHOICES:
        assert (seen.late_at(choice) <= seen.late) or choice < seen.present


@given(ARRIVALS)
def test_recommendation_is_one_of_the_choices_or_what_is_set_and_what_it_says_it_is(seen):
    made = seen.recommendation()
    assert made.seconds in {*CHOICES, seen.present}
    compared = {
        Advice.TOO_FEW: made.seconds == seen.present and seen.series < ENOUGH_SERIES,
        Advice.KEEP: made.seconds == seen.present and seen.late <= seen.series / 100,
        Advice.SHORTER: made.seconds < seen.present,
        Advice.LONGER: made.seconds > seen.present,
        Advice.NO_USE: made.seconds == seen.present and seen.late > seen.series / 100,
    }
    assert compared[made.advice]
    if made.advice is Advice.LONGER:
        assert seen.late_at(made.seconds) <= max(seen.late / 2, seen.series / 100)
    if made.advice is Advice.SHORTER:
        assert seen.late_at(made.seconds) <= seen.series / 100


def test_nothing_is_concluded_from_a_few_series():
    assert advice(1.0, 19, 3.0, 3.0) == (Advice.TOO_FEW, 1.0)


def test_sender_that_does_not_pause_is_well_served():
    assert advice(1.0, 100) == (Advice.KEEP, 1.0)
    assert advice(1.0, 100, 3.0) == (Advice.KEEP, 1.0)


def test_period_that_is_longer_than_any_pause_may_be_shorter():
    assert advice(10.0, 100, 1.2, 1.2, 1.2) == (Advice.SHORTER, 2.0)
    assert advice(10.0, 100, 7.0, 7.0) == (Advice.KEEP, 10.0)


def test_shortest_period_that_leaves_few_late_is_recommended():
    assert advice(1.0, 100, 1.5, 3.0, 4.0) == (Advice.LONGER, 5.0)
    assert advice(1.0, 100, 1.5, 3.0, 4.0, 700.0) == (Advice.LONGER, 5.0)


def test_sender_that_sends_while_it_scans_needs_a_long_period():
    assert advice(1.0, 100, *[45.0] * 50) == (Advice.LONGER, 120.0)


def test_period_that_halves_what_is_late_is_worth_it_and_no_longer_one():
    assert advice(1.0, 100, *[1.5] * 10, *[700.0] * 5) == (Advice.LONGER, 2.0)


@pytest.mark.parametrize("present", [1.0, 10.0, 60.0])
def test_no_period_helps_with_a_sender_that_goes_on_an_hour_later(present):
    assert advice(present, 100, *[3600.0] * 10) == (Advice.NO_USE, present)


def test_slowest_sender_decides():
    few, keep = Recommendation(Advice.TOO_FEW, 1.0), Recommendation(Advice.KEEP, 1.0)
    longer = Recommendation(Advice.LONGER, 5.0)
    assert joint_recommendation([few, keep, longer], 1.0) == longer
    assert joint_recommendation([few, keep], 1.0) == keep
    assert joint_recommendation([few], 1.0) == few
    assert joint_recommendation([], 1.0) == few
