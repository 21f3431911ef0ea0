from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.examples import DIGEST, IDENTITY, OTHER, instance

from seriesgate.series.collector import SeriesCollector
from seriesgate.series.identity_groups import disagreements
from seriesgate.series.model import InstanceCopy
from seriesgate.series.pauses import BOUNDS, PauseHistogram


def uids(closed):
    return [series.series_instance_uid for series in closed]


def test_series_closes_exactly_when_its_quiet_period_has_passed():
    collector = SeriesCollector(1.0)
    collector.observe(instance(), now=10.0)
    assert collector.next_deadline() == 11.0
    assert collector.close_quiet(10.999) == []
    assert uids(collector.close_quiet(11.0)) == ["1.2"]
    assert collector.next_deadline() is None
    assert len(collector) == 0


def test_quiet_period_restarts_on_each_instance():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.observe(instance("1.2"), now=10.9)
    assert collector.next_deadline() == 11.9
    assert collector.close_quiet(11.5) == []


def test_repeated_instance_counts_once_and_restarts_the_quiet_period():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1", size=7), now=10.0)
    collector.observe(instance("1.1", size=7), now=10.5)
    assert collector.instance_count() == 1
    (closed,) = collector.close_quiet(11.5)
    assert list(closed.instances) == ["1.1"]


def test_conflicting_instance_is_flagged_and_counts_once():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.observe(instance("1.1", digest=OTHER), now=10.0)
    collector.observe(instance("1.1"), now=10.0)
    (closed,) = collector.close_quiet(11.0)
    assert set(closed.conflicting_copies) == {InstanceCopy("1.1", OTHER)}
    assert closed.instances["1.1"].digest == DIGEST
    assert len(closed.instances) == 1


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({}, set()),
        ({"study": "9.9"}, {"StudyInstanceUID"}),
        ({"patient_id": b"B"}, {"PatientID"}),
        ({"study": "9.9", "patient_id": b"B"}, {"StudyInstanceUID", "PatientID"}),
    ],
)
def test_instances_that_name_other_studies_or_patients_are_noticed(attributes, named):
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.observe(instance("1.5", **attributes), now=10.0)
    (closed,) = collector.close_quiet(11.0)
    assert disagreements(closed.identities()) == named
    assert next(iter(closed.calling_ae_titles)) == IDENTITY


def test_what_an_earlier_run_received_is_told_apart():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1", is_recovered=True), now=10.0)
    collector.observe(instance("1.5"), now=10.0)
    (closed,) = collector.close_quiet(11.0)
    assert closed.recovered_copies == {InstanceCopy("1.1", DIGEST)}


def test_quiet_periods_can_start_anew_together():
    collector = SeriesCollector(1.0)
    collector.observe(instance(series="a"), now=10.0)
    collector.observe(instance(series="b"), now=10.9)
    collector.hold("c", now=10.9)
    collector.restart_quiet_periods(now=20.0)
    assert collector.next_deadline() == 21.0
    assert collector.close_quiet(20.9) == []
    assert sorted(uids(collector.close_quiet(21.0))) == ["a", "b"]


def test_instance_in_flight_holds_its_series_open():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.hold("1.2", now=10.0)
    assert collector.next_deadline() is None
    assert collector.close_quiet(100.0) == []
    collector.observe(instance("1.2"), now=100.0, held=True)
    assert collector.next_deadline() == 101.0


def test_instance_in_flight_that_comes_to_nothing_lets_the_quiet_period_go_on():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.hold("1.2", now=10.0)
    assert collector.close_quiet(20.0) == []
    collector.let_go("1.2")
    assert collector.next_deadline() == 11.0
    assert uids(collector.close_quiet(20.0)) == ["1.2"]


def test_pause_is_the_time_in_which_nothing_was_stored_or_under_way():
    collector = SeriesCollector(10.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.hold("1.2", now=12.0)  # a pause of 2 s
    collector.hold("1.2", now=15.0)
    collector.observe(instance("1.2"), now=16.0, held=True)
    collector.observe(instance("1.3"), now=19.0)
    collector.observe(instance("1.4"), now=19.0, held=True)
    collector.observe(instance("1.5"), now=26.0)  # a pause of 7 s
    (closed,) = collector.close_quiet(100.0)
    assert closed.pauses is not None
    counts = dict(zip(BOUNDS, closed.pauses.counts, strict=True))
    assert {bound: count for bound, count in counts.items() if count} == {2.0: 1, 5.0: 1}


def test_series_whose_only_instance_came_to_nothing_never_was():
    collector = SeriesCollector(1.0)
    collector.hold("1.2", now=10.0)
    assert len(collector) == 1
    collector.let_go("1.2")
    assert len(collector) == 0
    assert collector.close_quiet(100.0) == []


def test_two_instances_in_flight_must_both_end():
    collector = SeriesCollector(1.0)
    collector.hold("1.2", now=10.0)
    collector.hold("1.2", now=10.0)
    collector.observe(instance("1.1"), now=10.0, held=True)
    assert collector.next_deadline() is None
    collector.let_go("1.2")
    assert collector.next_deadline() == 11.0


def test_interleaved_series_close_each_after_its_own_quiet_period():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1", "1.2"), now=10.0)
    collector.observe(instance("2.1", "2.2"), now=10.3)
    collector.observe(instance("1.9", "1.2"), now=10.6)
    assert uids(collector.close_quiet(11.3)) == ["2.2"]
    assert uids(collector.close_quiet(11.6)) == ["1.2"]


def test_closed_series_opens_anew_with_a_late_instance():
    collector = SeriesCollector(1.0)
    collector.observe(instance("1.1"), now=10.0)
    collector.close_quiet(11.0)
    collector.observe(instance("1.9"), now=12.0)
    (late,) = collector.close_quiet(13.0)
    assert list(late.instances) == ["1.9"]


def test_negative_quiet_period_is_refused():
    with pytest.raises(ValueError, match="quiet period"):
        SeriesCollector(-1.0)


QUIET = 1.0
CLASSES = [*itertools.pairwise((*BOUNDS, math.inf))]
SERIES = st.sampled_from(["a", "b", "c"])


class CollectorModel(RuleBasedStateMachine):
    """The collector against a model that looks at every series on every step."""

    def __init__(self) -> None:
        super().__init__()
        self.collector = SeriesCollector(QUIET)
        self.now = 0.0
        self.stored: dict[str, set[str]] = {}
        self.last: dict[str, float] = {}
        self.flying: dict[str, int] = {}
        self.pauses: dict[str, list[float]] = {}

    @rule(series=SERIES, sop=st.integers(0, 5))
    def store(self, series: str, sop: int) -> None:
        self._comes(series)
        self.collector.observe(instance(f"1.{sop}", series), self.now)
        self._stored(series, f"1.{sop}")

    @rule(series=SERIES)
    def begin(self, series: str) -> None:
        self._comes(series)
        self.collector.hold(series, self.now)
        self.flying[series] = self.flying.get(series, 0) + 1

    @rule(series=SERIES, sop=st.integers(0, 5), completes=st.booleans())
    def end(self, series: str, sop: int, completes: bool) -> None:
        if not self.flying.get(series):
            return
        self.flying[series] -= 1
        if completes:
            self.collector.observe(instance(f"1.{sop}", series), self.now, held=True)
            self._stored(series, f"1.{sop}")
        else:
            self.collector.let_go(series)

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def close(self) -> None:
        due = {
            series
            for series, last in self.last.items()
            if last + QUIET <= self.now and not self.flying.get(series)
        }
        closed = self.collector.close_quiet(self.now)
        assert {c.series_instance_uid: set(c.instances) for c in closed} == {
            series: self.stored[series] for series in due
        }
        for each in closed:
            pauses = self.pauses.pop(each.series_instance_uid, [])
            expected = [sum(low <= p < high for p in pauses) for low, high in CLASSES]
            assert (each.pauses or PauseHistogram()).counts == expected
        for series in due:
            del self.stored[series], self.last[series]

    @invariant()
    def deadline_is_exact(self) -> None:
        waiting = [last + QUIET for s, last in self.last.items() if not self.flying.get(s)]
        assert self.collector.next_deadline() == min(waiting, default=None)

    @invariant()
    def counts_are_right(self) -> None:
        assert self.collector.instance_count() == sum(map(len, self.stored.values()))

    def _comes(self, series: str) -> None:
        if series in self.last and not self.flying.get(series):
            self.pauses.setdefault(series, []).append(self.now - self.last[series])

    def _stored(self, series: str, sop: str) -> None:
        self.stored.setdefault(series, set()).add(sop)
        self.last[series] = self.now


TestCollectorModel = CollectorModel.TestCase
TestCollectorModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_instances_of_all_open_series_are_counted_as_they_come_and_go():
    collector = SeriesCollector(1.0)
    for number, (sop, series) in enumerate([("1", "a"), ("1", "a"), ("2", "a"), ("1", "b")]):
        collector.observe(instance(sop, series), now=number)
    assert collector.instance_count() == 3
    collector.close_quiet(3.0)
    assert collector.instance_count() == 1
    collector.close_quiet(9.0)
    assert collector.instance_count() == 0
