from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import AT, DIGEST, OTHER, collected

from seriesgate.series.model import CollectedSeries, InstanceCopy, InstanceSummary
from seriesgate.series.revision import MAX_LISTED, next_revision


def test_first_closing_is_revision_one_and_adds_everything():
    revision = next_revision(None, collected("1", "2"), AT)
    assert revision is not None
    assert (revision.revision, len(revision.instances), len(revision.added_instances)) == (1, 2, 2)


def test_late_instance_makes_a_revision_with_the_cumulative_count():
    first = next_revision(None, collected("1", "2"), AT)
    second = next_revision(first, collected("2", "3"), AT + timedelta(hours=1))
    assert second is not None
    assert (second.revision, set(second.instances), len(second.added_instances)) == (
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
    conflict = InstanceCopy("1", OTHER)
    second = next_revision(first, collected("1", conflicting_copies=frozenset({conflict})), AT)
    assert second is not None
    assert second.added_instances == frozenset()
    assert second.added_conflicts == second.conflicting_copies == {conflict}
    assert second.conflicting_instances == {"1"}
    assert second.instances["1"].digest == DIGEST
    assert next_revision(second, collected("1", digest=OTHER), AT) is None


def test_other_content_is_a_conflict_also_when_the_first_is_long_released():
    first = next_revision(None, collected("1"), AT)
    second = next_revision(first, collected("1", "2", digest=OTHER), AT)
    assert second is not None
    assert second.added_instances == {"2"}
    assert second.conflicting_copies == {InstanceCopy("1", OTHER)}


def test_first_copy_of_a_new_instance_is_no_conflict_and_its_second_is():
    first = next_revision(None, collected("1"), AT)
    conflict = InstanceCopy("2", OTHER)
    second = next_revision(first, collected("2", conflicting_copies=frozenset({conflict})), AT)
    assert second is not None
    assert second.added_instances == {"2"}
    assert second.added_conflicts == {conflict}


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"study_instance_uid": "9.9"}, {"StudyInstanceUID"}),
        ({"patient_id": b"other"}, {"PatientID"}),
        ({"inconsistent_attributes": frozenset({"PatientID"})}, {"PatientID"}),
    ],
)
def test_contradiction_to_what_is_known_is_named_and_makes_a_revision(attributes, named):
    first = next_revision(None, collected("1"), AT)
    second = next_revision(first, collected("1", **attributes), AT)
    assert second is not None
    assert second.inconsistent_attributes == named
    assert second.study_instance_uid == "1.3"
    assert next_revision(second, collected("1", **attributes), AT) is None


def test_damaged_instance_is_named_and_not_counted_until_it_comes_again():
    series = collected("1", "2")
    first = next_revision(None, series.without(frozenset({InstanceCopy("2", DIGEST)})), AT)
    assert first is not None
    assert set(first.instances) == {"1"}
    assert first.damaged_instances == {"2"}
    second = next_revision(first, collected("2"), AT)
    assert second is not None
    assert set(second.instances) == {"1", "2"}
    assert second.damaged_instances == frozenset()


def test_damaged_copy_beside_a_whole_one_is_no_loss():
    conflict = InstanceCopy("1", OTHER)
    series = collected("1", conflicting_copies=frozenset({conflict}))
    checked = series.without(frozenset({conflict}))
    assert checked.damaged_instances == frozenset()
    assert checked.conflicting_copies == frozenset()


def test_series_of_which_nothing_is_left_is_no_revision():
    series = collected("1")
    assert next_revision(None, series.without(series.copies), AT) is None


def test_size_counts_each_instance_once():
    first = next_revision(None, collected("1", "2"), AT)
    second = next_revision(first, collected("2", "3"), AT)
    assert second is not None
    assert second.size == 300


def numbered(*numbers: int | None) -> CollectedSeries:
    instances = {f"1.{i}": InstanceSummary(1, number, DIGEST) for i, number in enumerate(numbers)}
    return collected(instances=instances)


def missing(*numbers: int | None) -> list[int]:
    revision = next_revision(None, numbered(0, *numbers), AT)
    assert revision is not None
    return revision.missing_instance_numbers()


@given(st.lists(st.one_of(st.none(), st.integers(-30, 30))))
def test_missing_numbers_are_the_holes_between_least_and_greatest(numbers):
    present = {0} | {number for number in numbers if number is not None}
    holes = set(range(min(present), max(present))) - present
    assert missing(*numbers) == sorted(holes)


def test_missing_numbers_of_a_hostile_series_are_bounded():
    assert missing(2**31 - 1) == list(range(1, 1 + MAX_LISTED))
    assert len(missing(0, 700, 2**31 - 1)) == MAX_LISTED
