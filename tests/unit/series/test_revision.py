from __future__ import annotations

from datetime import timedelta

import pytest
from tests.examples import AT, DIGEST, IDENTITY, OTHER, collected, report, summary
from tests.memory_journal import MemoryJournal

from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.description import SeriesDescription
from seriesgate.series.identity_groups import MAX_LISTED
from seriesgate.series.model import Identity, InstanceCopy
from seriesgate.series.revision import SeriesRevision, next_revision

STRANGER = Identity("9.9", b"other")


class History:
    """One series from closing to closing, as the closer does it."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()

    def close(self, came, at=AT) -> SeriesRevision | None:
        revision = next_revision(self.journal.known(came), came, at)
        if revision is not None:
            sent = report(count=revision.summary.instances, revision=revision.summary.revision)
            self.journal.record([(revision, Delivery(delivery_id_of(sent), sent))])
        return revision

    def made(self, came, at=AT) -> SeriesRevision:
        revision = self.close(came, at)
        assert revision is not None
        return revision


@pytest.fixture
def series():
    return History()


def test_first_closing_is_revision_one_and_adds_everything(series):
    made = series.made(collected("1", "2"))
    assert (made.summary.revision, made.summary.instances) == (1, 2)
    assert set(made.added_instances) == {"1", "2"}


def test_late_instance_makes_a_revision_with_the_cumulative_count(series):
    series.close(collected("1", "2"))
    second = series.made(collected("2", "3"), AT + timedelta(hours=1))
    assert (second.summary.revision, second.summary.instances) == (2, 3)
    assert set(second.added_instances) == {"3"}
    assert second.returned_copies == {InstanceCopy("2", DIGEST)}
    assert second.summary.closed_at == AT + timedelta(hours=1)


def test_resend_of_what_is_known_makes_no_revision(series):
    series.close(collected("1", "2"))
    assert series.close(collected("2", "1")) is None


def test_new_conflict_alone_makes_a_revision_that_adds_nothing(series):
    series.close(collected("1"))
    conflict = InstanceCopy("1", OTHER)
    second = series.made(collected("1", conflicting={conflict}))
    assert dict(second.added_instances) == {}
    assert second.added_conflicts == {conflict}
    assert second.summary.conflicting_instances == ("1",)
    assert series.close(collected("1", digest=OTHER)) is None


def test_other_content_is_a_conflict_also_when_the_first_is_long_released(series):
    series.close(collected("1"))
    second = series.made(collected("1", "2", digest=OTHER))
    assert set(second.added_instances) == {"2"}
    assert second.added_conflicts == {InstanceCopy("1", OTHER)}


def test_first_copy_of_a_new_instance_is_no_conflict_and_its_second_is(series):
    series.close(collected("1"))
    conflict = InstanceCopy("2", OTHER)
    second = series.made(collected("2", conflicting={conflict}))
    assert set(second.added_instances) == {"2"}
    assert second.added_conflicts == {conflict}


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        (Identity("9.9", IDENTITY.patient_id), {"StudyInstanceUID"}),
        (Identity("1.3", b"other"), {"PatientID"}),
        (STRANGER, {"StudyInstanceUID", "PatientID"}),
    ],
)
def test_contradiction_to_what_is_known_is_named_and_makes_a_revision(series, identity, named):
    series.close(collected("1"))
    again = collected("1", digest=OTHER, identity=identity)
    second = series.made(again)
    assert second.summary.inconsistent_attributes == named
    assert second.summary.study_instance_uid == "1.3"
    assert second.summary.inconsistent_instances == 0
    assert series.close(again) is None


def test_damaged_instance_is_named_and_not_counted_until_it_comes_again(series):
    came = collected("1", "2")
    first = series.made(came.without({InstanceCopy("2", DIGEST)}))
    assert set(first.added_instances) == {"1"}
    assert first.summary.damaged_instances == ("2",)
    second = series.made(collected("2"))
    assert second.summary.instances == 2
    assert second.summary.damaged_instances == ()


def test_known_instance_whose_copy_came_damaged_is_no_loss(series):
    series.close(collected("1"))
    assert series.close(collected("1").without({InstanceCopy("1", DIGEST)})) is None


def test_damaged_copy_beside_a_whole_one_is_no_loss():
    conflict = InstanceCopy("1", OTHER)
    checked = collected("1", conflicting={conflict}).without({conflict})
    assert checked.damaged_instances == frozenset()
    assert dict(checked.conflicting_copies) == {}


def test_whole_copy_beside_a_damaged_first_one_counts():
    conflict = InstanceCopy("1", OTHER)
    checked = collected("1", conflicting={conflict}).without({InstanceCopy("1", DIGEST)})
    assert checked.damaged_instances == frozenset()
    assert checked.instances["1"].digest == OTHER
    assert dict(checked.conflicting_copies) == {}


def test_series_of_which_nothing_is_left_is_no_revision(series):
    came = collected("1")
    assert series.close(came.without(set(came.copies()))) is None


def test_size_counts_each_instance_once(series):
    series.close(collected("1", "2"))
    assert series.made(collected("2", "3")).summary.size == 300


def test_lists_of_a_report_are_bounded(series):
    sops = [str(number) for number in range(2 * MAX_LISTED)]
    series.close(collected(*sops))
    made = series.made(
        collected(*sops, digest=OTHER, damaged_instances=frozenset(map(str, range(3000, 6000))))
    )
    assert len(made.summary.conflicting_instances) == MAX_LISTED
    assert len(made.summary.damaged_instances) == MAX_LISTED
    assert len(made.added_conflicts) == 2 * MAX_LISTED


def test_series_is_what_most_say_whoever_came_first(series):
    came = collected("9", "1", "2", "3")
    instances = {**came.instances, "9": summary(identity=STRANGER)}
    made = series.made(collected(instances=instances)).summary
    assert made.study_instance_uid == "1.3"
    assert made.identities.strays() == ["9"]
    assert made.inconsistent_instances == 1


def test_stray_that_came_alone_gives_way_to_those_that_come_late(series):
    first = series.made(collected("s", identity=STRANGER))
    assert first.summary.study_instance_uid == "9.9"
    series.close(collected("1"))
    third = series.made(collected("2", "3")).summary
    assert (third.study_instance_uid, third.identities.strays()) == ("1.3", ["s"])
    assert third.inconsistent_attributes == {"StudyInstanceUID", "PatientID"}


def test_stray_that_comes_late_changes_nothing_but_that_it_is_named(series):
    described = series.made(collected("1", "2"))
    assert described.summary.identities.strays() == []
    late = series.made(collected("3", instances={"3": summary(), "0": summary(identity=STRANGER)}))
    assert late.summary.study_instance_uid == "1.3"
    assert late.summary.identities.strays() == ["0"]
    assert late.added_strays() == 1


def test_each_identity_keeps_its_own_description(series):
    """Also when the majority changes and its files are gone, nothing is taken from another."""
    said = SeriesDescription(patient_id="B/9", study_instance_uid="9.9")
    first = series.made(collected("s", identity=STRANGER)).described(said)
    assert first.summary.description == said
    real = first.summary.identities.joined_by(collected("1", "2").instances, {})
    assert real.majority.description == SeriesDescription()
    back = real.joined_by(collected("t", "u", identity=STRANGER).instances, {})
    assert back.majority.description == said
