from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import AT, collected

from seriesgate.series.model import CollectedSeries, InstanceSummary
from seriesgate.series.revision import MAX_LISTED, next_revision


def test_first_closing_is_revision_one_and_adds_everything():
    revision = next_revision(None, collected("1", "2"), AT)
    assert revision is not None
    assert (revision.revision, len(revision.instances), revision.added_instances) == (1, 2, 2)


def test_late_instance_makes_a_revision_with_the_cumulative_count():
    first = next_revision(None, collected("1", "2"), AT)
    second = next_revision(first, collected("2", "3"), AT + timedelta(hours=1))
    assert second is not None
    assert (second.revision, set(second.instances), second.added_instances) == (
        2,
        {"1", "2", "3"},
        1,
    )
    assert second.closed_at == AT + timedelta(hours=1)


def test_resend_of_what_is_known_makes_no_revision():
    first = next_revision(None, collected("1", "2"), AT)
    assert next_revision(first, collected("2", "1"), AT) is None


def test_new_conflict_alone_makes_a_revision_that_adds_nothing():
    first = next_revision(None, collected("1"), AT)
    second = next_revision(first, collected("1", conflicts=frozenset({"1"})), AT)
    assert second is not None
    assert second.added_instances == 0
    assert second.conflicting_instances == {"1"}
    assert next_revision(second, collected("1", conflicts=frozenset({"1"})), AT) is None


def test_size_counts_each_instance_once():
    first = next_revision(None, collected("1", "2"), AT)
    second = next_revision(first, collected("2", "3"), AT)
    assert second is not None
    assert second.size == 300


def numbered(*numbers: int | None) -> CollectedSeries:
    series = collected()
    instances = {f"1.{i}": InstanceSummary(1, number) for i, number in enumerate(numbers)}
    return CollectedSeries(
        series.series_instance_uid,
        series.study_instance_uid,
        series.calling_ae_title,
        instances,
        frozenset(),
        AT,
        AT,
    )


def missing(*numbers: int | None) -> list[int]:
    revision = next_revision(None, numbered(*numbers), AT)
    assert revision is not None
    return revision.missing_instance_numbers()


@given(st.lists(st.one_of(st.none(), st.integers(-30, 30))))
def test_missing_numbers_are_the_holes_between_least_and_greatest(numbers):
    present = {number for number in numbers if number is not None}
    holes = set(range(min(present), max(present))) - present if present else set()
    assert missing(*numbers) == sorted(holes)


def test_missing_numbers_of_a_hostile_series_are_bounded():
    assert missing(1, 2**31 - 1) == list(range(2, 2 + MAX_LISTED))
    assert len(missing(0, 700, 2**31 - 1)) == MAX_LISTED
