"""The rule that says which report of a series is kept."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.examples import (
    EVERY_FIELD,
    START,
    report,
    reports_of_one_series,
    ticking_clock,
)

from seriesgate.series.report import Series
from seriesgate.server.registry.merge import canonical_json, merge
from seriesgate.server.registry.store import Outcome, SeriesContradiction

LATER = START.replace(hour=13)


def row_after(reports):
    """The row that reports leave when they come in this order."""
    clock = ticking_clock()
    return reduce(lambda kept, each: merge(kept, each, clock()).series, reports, None)


def said(row):
    return canonical_json(row)


def test_first_report_makes_the_row():
    every = Series.model_validate(EVERY_FIELD)
    registration = merge(None, every, START)
    assert registration.outcome is Outcome.CREATED
    assert said(registration.series) == canonical_json(every)
    assert registration.series.ReceivedAt == registration.series.UpdatedAt == START


def test_more_instances_replace_the_row_even_with_a_lower_revision():
    kept = merge(None, report(InstancesInSeries=10, Revision=3), START).series
    registration = merge(kept, report(InstancesInSeries=11, Revision=1), LATER)
    assert registration.outcome is Outcome.UPDATED
    assert registration.series.InstancesInSeries == 11
    assert registration.series.Revision == 1


def test_replaced_row_keeps_the_time_of_the_first_report():
    kept = merge(None, report(InstancesInSeries=10), START).series
    row = merge(kept, report(InstancesInSeries=11), LATER).series
    assert (row.ReceivedAt, row.UpdatedAt) == (START, LATER)


@pytest.mark.parametrize("fields", [{"InstancesInSeries": 9, "Revision": 5}, {"Revision": 2}, {}])
def test_report_that_says_less_or_the_same_changes_nothing(fields):
    kept = merge(None, report(InstancesInSeries=10, Revision=2), START).series
    registration = merge(kept, report(**({"Revision": 2} | fields)), LATER)
    assert registration.outcome is Outcome.UNCHANGED
    assert registration.series == kept


def test_higher_revision_replaces_a_row_with_as_many_instances():
    kept = merge(None, report(PatientName="Doe^John"), START).series
    registration = merge(kept, report(Revision=2), LATER)
    assert registration.outcome is Outcome.UPDATED
    assert registration.series.PatientName == "Doe^Jane"


def test_report_that_states_more_replaces_its_equal_in_numbers():
    plain = report(InstancesInSeries=10, Revision=2)
    rich = Series.model_validate(EVERY_FIELD)
    assert said(row_after([plain, rich])) == said(row_after([rich, plain])) == said(rich)


def test_report_with_more_instances_replaces_the_row_as_a_whole():
    """The rule is one report as a whole: optional fields of another are not kept beside it."""
    rich = merge(None, Series.model_validate(EVERY_FIELD), START).series
    plain = report(InstancesInSeries=11)
    assert said(merge(rich, plain, LATER).series) == canonical_json(plain)


@given(st.lists(reports_of_one_series, min_size=1, max_size=6), st.randoms())
def test_row_depends_neither_on_order_nor_on_repeats(reports, random):
    again = reports + random.choices(reports, k=3)
    random.shuffle(again)
    assert said(row_after(reports)) == said(row_after(again))


@given(st.lists(reports_of_one_series, min_size=1, max_size=6))
def test_row_is_one_of_the_reports_with_the_most_instances(reports):
    most = max(each.InstancesInSeries for each in reports)
    latest = max(each.Revision for each in reports if each.InstancesInSeries == most)
    row = row_after(reports)
    assert (row.InstancesInSeries, row.Revision) == (most, latest)
    assert said(row) in {canonical_json(each) for each in reports}


@pytest.mark.parametrize(
    ("field", "other"),
    [("StudyInstanceUID", "1.4"), ("PatientID", "B/18"), ("PatientID", ""), ("PatientID", "a/17")],
)
def test_other_study_or_patient_is_a_contradiction(field, other):
    kept = merge(None, report(), START).series
    with pytest.raises(SeriesContradiction) as caught:
        merge(kept, report(InstancesInSeries=99, **{field: other}), LATER)
    assert caught.value.field == field
    assert "17" not in str(caught.value)


def revision(number, count, patient, **fields):
    said = {"Gateway": "ward-3", "PatientID": patient, "StudyInstanceUID": f"1.{patient}"}
    return report(Revision=number, InstancesInSeries=count, **said | fields)


@pytest.mark.parametrize(("later", "count"), [(2, 1), (2, 101), (7, 50)])
def test_gateway_corrects_its_own_report_whichever_comes_first(later, count):
    """A stray came first; most instances are of another patient."""
    stray, most = revision(1, 1, "5"), revision(later, count, "6")
    corrected = merge(merge(None, stray, START).series, most, LATER)
    assert (corrected.outcome, said(corrected.series)) == (Outcome.UPDATED, canonical_json(most))
    late = merge(merge(None, most, START).series, stray, LATER)
    assert (late.outcome, said(late.series)) == (Outcome.UNCHANGED, canonical_json(most))


@pytest.mark.parametrize(
    "other",
    [
        revision(2, 101, "6", Gateway="ward-4"),
        revision(2, 101, "6", Gateway=""),
        revision(1, 101, "6"),
        revision(2, 9, "6"),
    ],
)
def test_nothing_else_is_a_correction(other):
    """Another gateway, none, no later revision, or one that counts fewer."""
    kept = merge(None, revision(1, 10, "5"), START).series
    with pytest.raises(SeriesContradiction):
        merge(kept, other, LATER)


def test_two_that_name_no_gateway_do_not_correct_each_other():
    kept = merge(None, revision(1, 10, "5", Gateway=""), START).series
    with pytest.raises(SeriesContradiction):
        merge(kept, revision(2, 11, "6", Gateway=""), LATER)


def test_spaces_around_a_patient_id_mean_nothing():
    kept = merge(None, report(PatientID="A/17"), START).series
    assert merge(kept, report(PatientID=" A/17 "), LATER).outcome is not Outcome.CREATED
    with pytest.raises(SeriesContradiction):
        merge(kept, report(PatientID="A/ 17"), LATER)


def test_canonical_json_leaves_out_what_is_not_stated():
    plain = report()
    stated_defaults = report(Modality="", Revision=1, MissingInstanceNumbers=[])
    assert canonical_json(plain) == canonical_json(stated_defaults)
    assert "Modality" not in canonical_json(plain)
