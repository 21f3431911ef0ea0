"""What every SeriesStore promises of what is deleted."""

from __future__ import annotations

from asyncio import run

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.test_series_store import ALL, store, stores, wanted
from tests.unit.server.examples import report

from seriesgate.server.registry.preview import PNG, Preview
from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import (
    Deletion,
    DeletionReason,
    Outcome,
    SeriesWasDeleted,
    kind_of,
)
from seriesgate.server.sql import deletion

__all__ = ["store", "stores"]

PICTURE = Preview(PNG, b"\x89PNG\x00picture")


def uids(store, wanted=ALL):
    return [row.SeriesInstanceUID for row in run(store.page(wanted, limit=100)).series]


def test_deleted_series_is_gone_with_all_that_was_kept_of_it(store):
    run(store.register(report(), "key"))
    run(store.register(report(InstancesInSeries=11)))
    run(store.put_preview("1.2", PICTURE))
    assert run(store.delete_series("1.2")) is True
    assert run(store.get("1.2")) is None
    assert run(store.history("1.2", limit=9)) == []
    assert run(store.preview("1.2")) is None
    assert uids(store) == uids(store, SeriesFilter(text="doe")) == []
    assert run(store.studies(ALL, limit=9)).studies == run(store.patients(ALL, limit=9)).patients
    totals = run(store.totals())
    assert (totals.Patients, totals.Studies, totals.Series, totals.Instances) == (0, 0, 0, 0)


def test_followers_are_told_of_a_deletion_and_of_nothing_before_it(store):
    run(store.register(report()))
    run(store.register(report(SeriesInstanceUID="1.9")))
    run(store.register(report(InstancesInSeries=11)))
    run(store.delete_series("1.2"))
    other, deleted = run(store.changes(0, limit=9))
    assert (other.sequence, other.series.SeriesInstanceUID) == (2, "1.9")
    assert isinstance(deleted, Deletion)
    assert (deleted.sequence, kind_of(deleted)) == (4, "deleted")
    assert deleted.series.SeriesInstanceUID == "1.2"
    assert deleted.series.Reason is DeletionReason.DELETED
    assert run(store.latest_change()) == 4
    assert run(store.changes(4, limit=9)) == []


def test_what_is_not_there_is_not_deleted(store):
    run(store.register(report()))
    assert run(store.delete_series("1.20")) is False
    assert run(store.delete_series("1.20", may_return=True)) is False
    assert run(store.delete_patient("A/1")) == 0
    assert uids(store) == ["1.2"]
    assert run(store.latest_change()) == 1


def test_late_report_does_not_bring_a_series_back_and_its_neighbours_are_kept(store):
    run(store.register(report()))
    run(store.delete_series("1.2"))
    with pytest.raises(SeriesWasDeleted):
        run(store.register(report(Revision=2, InstancesInSeries=99)))
    assert run(store.put_preview("1.2", PICTURE)) is False
    assert run(store.register(report(SeriesInstanceUID="1.9"))).outcome is Outcome.CREATED
    assert uids(store) == ["1.9"]
    assert run(store.delete_series("1.2")) is False


def test_series_returns_when_that_was_allowed(store):
    for _ in range(2):
        assert run(store.register(report())).outcome is Outcome.CREATED
        assert run(store.delete_series("1.2", may_return=True)) is True
    assert run(store.delete_series("1.2", may_return=True)) is False


def test_series_that_was_deleted_can_be_allowed_to_return_later(store):
    run(store.register(report()))
    run(store.delete_series("1.2"))
    assert run(store.delete_series("1.2", may_return=True)) is True
    assert run(store.register(report(InstancesInSeries=3))).outcome is Outcome.CREATED
    assert run(store.get("1.2")).InstancesInSeries == 3
    assert run(store.totals()).Instances == 3
    assert [kind_of(change) for change in run(store.changes(0, limit=9))] == ["deleted", "created"]


def test_patient_is_deleted_whatever_the_number_of_series(store, monkeypatch):
    monkeypatch.setattr(deletion, "BATCH", 3)
    for number in range(8):
        run(store.register(report(SeriesInstanceUID=f"1.2.{number}", PatientID=" A/17 ")))
        run(store.register(report(SeriesInstanceUID=f"1.3.{number}", PatientID="B")))
    assert run(store.delete_patient("A/17 ")) == 8
    assert len(uids(store)) == 8
    assert [each.PatientID for each in run(store.patients(ALL, limit=9)).patients] == ["B"]
    with pytest.raises(SeriesWasDeleted):
        run(store.register(report(SeriesInstanceUID="1.2.0")))
    # Another examination of the same patient is no old one.
    assert run(store.register(report(SeriesInstanceUID="1.2.99"))).outcome is Outcome.CREATED


def test_patients_whose_long_ids_begin_alike_are_not_one(store):
    alike = "x" * 64
    for number, rest in enumerate(("", "1", "2")):
        run(store.register(report(SeriesInstanceUID=f"1.{number}", PatientID=alike + rest)))
    assert run(store.delete_patient(alike + "1")) == 1
    assert sorted(uids(store)) == ["1.0", "1.2"]


def test_numbers_of_deleted_series_are_not_given_to_others(store):
    """In SQL each series has a number in the index of texts."""
    for number in range(4):
        run(store.register(report(SeriesInstanceUID=f"1.{number}", PatientName=f"Name{number}")))
    run(store.delete_series("1.1", may_return=True))
    run(store.register(report(SeriesInstanceUID="1.1", PatientName="Again")))
    run(store.register(report(SeriesInstanceUID="1.4", PatientName="Name4")))
    for number, text in enumerate(["name0", "again", "name2", "name3", "name4"]):
        assert uids(store, SeriesFilter(text=text)) == [f"1.{number}"]
    assert uids(store, SeriesFilter(text="name1")) == []


def summary(store):
    """All that a store has, but for the times."""
    everything = SeriesFilter(text="doe")
    times = {"ReceivedAt", "UpdatedAt"}
    return (
        run(store.totals()),
        [row.model_dump(exclude=times) for row in run(store.page(ALL, limit=100)).series],
        [row.model_dump(exclude=times) for row in run(store.studies(ALL, limit=100)).studies],
        [row.model_dump(exclude=times) for row in run(store.patients(ALL, limit=100)).patients],
        uids(store, everything),
        uids(store, wanted(PatientID="A")),
    )


_SERIES = st.lists(
    st.builds(
        lambda number, study, patient: (f"1.{number}", f"2.{study}", patient),
        *(st.integers(0, 9), st.integers(0, 2), st.sampled_from("AB")),
    ),
    max_size=8,
    unique_by=lambda each: each[0],
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_SERIES, st.sets(st.integers(0, 9)), st.sampled_from(["", "A"]))
def test_what_stays_is_as_if_the_others_had_never_come(stores, series, numbers, patient):
    store, other = stores.open(), stores.open()
    deleted = {f"1.{number}" for number in numbers}
    for uid, study, patient_id in series:
        fields = {"SeriesInstanceUID": uid, "StudyInstanceUID": study, "PatientID": patient_id}
        run(store.register(report(**fields)))
        if uid not in deleted and patient_id != patient:
            run(other.register(report(**fields)))
    for uid in deleted:
        run(store.delete_series(uid))
    run(store.delete_patient(patient))
    try:
        assert summary(store) == summary(other)
    finally:
        stores.close()
