"""What every SeriesStore promises to those who read: finding, summing up, following changes."""

from __future__ import annotations

import asyncio
from asyncio import run
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.test_series_store import ALL, every_page, register_all, uids, wanted
from tests.contract.test_series_store import store as store  # noqa: PLC0414 - a fixture
from tests.contract.test_series_store import stores as stores  # noqa: PLC0414 - a fixture
from tests.unit.server.examples import START, report

from seriesgate.server.registry.cursor import decode_cursor, encode_cursor
from seriesgate.server.registry.query import (
    OLDEST_FIRST,
    Attribute,
    Between,
    Condition,
    Level,
    OneOf,
    Order,
    SeriesFilter,
    SortBy,
    Wildcard,
)
from seriesgate.server.registry.store import Outcome, PagePosition, UnknownPosition
from seriesgate.server.sql.search_bounds import SearchBounds
from seriesgate.server.sql.series_store import SqlSeriesStore

A = Attribute
SERIES: tuple[dict[str, Any], ...] = (
    {"SeriesInstanceUID": "1.1", "StudyInstanceUID": "2.1", "PatientID": "A"},
    {"SeriesInstanceUID": "1.2", "StudyInstanceUID": "2.1", "PatientID": "A ", "Modality": "MR"},
    {"SeriesInstanceUID": "1.3", "StudyInstanceUID": "2.2", "PatientID": "A", "Modality": "CT"},
    {"SeriesInstanceUID": "1.4", "StudyInstanceUID": "2.3", "PatientID": "b_%", "Modality": "SR"},
)
MORE: tuple[dict[str, Any], ...] = (
    {"PatientName": "Doe^Jane", "StudyDate": "20260101", "AccessionNumber": "ACC-1"},
    {"PatientName": "Doe^Jane", "SeriesNumber": 4, "SeriesDescription": "t1_mprage sag"},
    {"PatientName": "DÖE^JOHN", "StudyDate": "20260131", "StudyDescription": "Brain [x]*?"},
    {"PatientName": "山田^太郎", "StudyDate": "20260201", "Gateway": "ward-3", "SeriesNumber": -1},
)


async def fill(store):
    for fields, more in zip(SERIES, MORE, strict=True):
        await store.register(report(**fields, **more))


@pytest.fixture
def filled(store):
    run(fill(store))
    return store


CONDITIONS: list[tuple[list[Condition], str]] = [
    ([OneOf(A.SERIES, ("1.2",))], "2"),
    ([OneOf(A.SERIES, ("1.3", "1.1", "9"))], "31"),
    ([OneOf(A.STUDY, ("2.1", "2.3"))], "421"),
    ([OneOf(A.PATIENT_ID, ("A",))], "321"),
    ([OneOf(A.PATIENT_ID, (" A",)), OneOf(A.MODALITY, ("CT", "SR"))], "3"),
    ([OneOf(A.PATIENT_NAME, ("döe^john",))], "3"),
    ([Wildcard(A.PATIENT_NAME, "doe*")], "21"),
    ([Wildcard(A.PATIENT_NAME, "d?e^j*")], "321"),
    ([Wildcard(A.PATIENT_NAME, "*太*")], "4"),
    ([Wildcard(A.PATIENT_NAME, "Doe*E")], "21"),
    ([Wildcard(A.PATIENT_ID, "b_%")], "4"),
    ([Wildcard(A.PATIENT_ID, "B*")], ""),
    ([Wildcard(A.PATIENT_ID, "?")], "321"),
    ([Wildcard(A.PATIENT_ID, "_*")], ""),
    ([Wildcard(A.ACCESSION_NUMBER, "ACC-?")], "1"),
    ([Wildcard(A.MODALITY, "?R")], "42"),
    ([Between(A.STUDY_DATE, "20260101", "20260131")], "31"),
    ([Between(A.STUDY_DATE, "20260131", "")], "43"),
    ([Between(A.STUDY_DATE, "0", "20260131")], "31"),
    ([Between(A.STUDY_DATE, "20260102", "20260130")], ""),
    ([OneOf(A.GATEWAY, ("ward-3",))], "4"),
    ([OneOf(A.SERIES_NUMBER, ("4", "-1"))], "42"),
    ([OneOf(A.SERIES_DESCRIPTION, ("t1_mprage sag",))], "2"),
    ([Wildcard(A.STUDY_DESCRIPTION, "Brain [x]*")], "3"),
    ([Wildcard(A.STUDY_DESCRIPTION, "*[x*")], "3"),
    ([Wildcard(A.STUDY_DESCRIPTION, "*[*x]")], ""),
    ([OneOf(A.MODALITIES_IN_STUDY, ("MR",))], "21"),
    ([OneOf(A.MODALITIES_IN_STUDY, ("MR",)), OneOf(A.MODALITY, ("",))], "1"),
    ([Between(A.STUDY_DATE, "2026", ""), Wildcard(A.PATIENT_NAME, "d*")], "31"),
]


def test_conditions(filled):
    """Each digit is the end of a UID. A range of dates or names is the order, but of times."""
    for conditions, expected in CONDITIONS:
        found = uids(run(filled.page(SeriesFilter(tuple(conditions)), limit=10)))
        assert found == [f"1.{digit}" for digit in expected], conditions
        paged = run(every_page(filled, SeriesFilter(tuple(conditions)), 1))
        assert [uid for page in paged for uid in page] == found, conditions


TEXTS = [
    ("doe", "21"),
    ("JANE", "21"),
    ("Ö", "3"),
    ("acc-", "1"),
    ("mprage", "2"),
    ("_", "42"),
    ("%", "4"),
    ("\\", ""),
    ("太", "4"),
    ("brain [", "3"),
]


def test_text_is_found_in_any_case_and_is_no_pattern(filled):
    for text, expected in TEXTS:
        found = uids(run(filled.page(SeriesFilter(text=text), limit=10)))
        assert found == [f"1.{digit}" for digit in expected], text


def in_small_steps(store, few):
    """Return the store, a query of which looks at one series; from `few` on there's no shortcut."""
    if not isinstance(store, SqlSeriesStore):
        return store
    bounds = SearchBounds(
        examined=1, before_a_shortcut=1, without_a_shortcut=1, elsewhere=1, few=few
    )
    return SqlSeriesStore(store.database, store.clock, bounds)


@pytest.mark.parametrize("few", [0, 2, 100])
def test_what_is_found_depends_on_no_step_and_no_shortcut(filled, few):
    filled = in_small_steps(filled, few)
    cases = [(SeriesFilter(tuple(conditions)), found) for conditions, found in CONDITIONS]
    for filter_, expected in [*cases, *((SeriesFilter(text=text), ends) for text, ends in TEXTS)]:
        paged = run(every_page(filled, filter_, 3))
        assert [uid for page in paged for uid in page] == [f"1.{end}" for end in expected], filter_


ORDERS = {
    SortBy.RECEIVED: "1234",
    SortBy.PATIENT_NAME: "1234",  # two of the same name, as they came
    SortBy.PATIENT_ID: "1234",
    SortBy.STUDY_DATE: "2134",  # one has none
    SortBy.INSTANCES: "4213",
}


@pytest.mark.parametrize("few", [None, 100])
def test_orders(filled, few):
    """Each is the same on all pages, in either direction, with a filter and without."""
    for number, count in enumerate((20, 13, 20, 12)):
        run(filled.register(report(**SERIES[number] | MORE[number], InstancesInSeries=count)))
    if few is not None:
        filled = in_small_steps(filled, few)

    async def every(order, wanted_, limit):
        found, after = [], None
        while True:
            page = await filled.page(wanted_, limit=limit, after=after, order=order)
            found += [uid[-1] for uid in uids(page)]
            if page.following is None:
                return "".join(found)
            after = decode_cursor(encode_cursor(page.following))

    for by, upwards in ORDERS.items():
        for limit in (1, 3):
            assert run(every(Order(by, descending=False), ALL, limit)) == upwards
            assert run(every(Order(by), ALL, limit)) == upwards[::-1]
            for filtered, ends in (
                (SeriesFilter(text="doe^j"), "12"),
                (wanted(PatientID="A"), "123"),
                (SeriesFilter((OneOf(A.MODALITIES_IN_STUDY, ("MR",)),)), "12"),
            ):
                expected = "".join(end for end in upwards if end in ends)
                assert run(every(Order(by, descending=False), filtered, limit)) == expected


def test_position_of_no_series_is_told_so(filled):
    nowhere = PagePosition(START, "9.9")
    assert run(filled.page(ALL, limit=1, after=nowhere)).following is None
    with pytest.raises(UnknownPosition):
        run(filled.page(ALL, limit=1, after=nowhere, order=Order(SortBy.PATIENT_NAME)))


def test_text_is_that_of_the_row_now_also_for_a_shortcut(filled):
    filled = in_small_steps(filled, 100)
    fields = SERIES[2] | MORE[2] | {"InstancesInSeries": 11, "PatientName": "New^Name"}
    run(filled.register(report(**fields)))
    run(filled.register(report(**fields | {"InstancesInSeries": 12, "PatientName": "Newer^Name"})))
    for text, expected in (("döe^john", []), ("newer^name", ["1.3"]), ("brain [x]", ["1.3"])):
        paged = run(every_page(filled, SeriesFilter(text=text), 3))
        assert [uid for page in paged for uid in page] == expected


def test_time_of_arrival(filled):
    newest = run(filled.page(ALL, limit=10)).series
    times = [row.ReceivedAt for row in newest]
    between = SeriesFilter(received_from=times[2], received_before=times[0])
    assert run(filled.page(between, limit=10)).series == newest[1:3]
    assert uids(run(filled.page(SeriesFilter(received_before=times[3]), limit=10))) == []
    with_study = SeriesFilter(wanted(StudyInstanceUID="2.1").conditions, "", times[2], None)
    assert uids(run(filled.page(with_study, limit=10))) == ["1.2"]


def test_oldest_first_is_the_reverse_on_every_page(filled):
    async def every():
        found, after = [], None
        while True:
            page = await filled.page(
                SeriesFilter(received_from=START), limit=3, after=after, order=OLDEST_FIRST
            )
            found += uids(page)
            after = page.following
            if after is None:
                return found

    assert run(every()) == ["1.1", "1.2", "1.3", "1.4"]


def test_found_by_what_the_row_says_now(store):
    run(store.register(report(Modality="MR", PatientName="Old")))
    run(store.register(report(Modality="CT", PatientName="New", InstancesInSeries=11)))
    assert uids(run(store.page(wanted(Modality="MR"), limit=10))) == []
    assert uids(run(store.page(wanted(Modality="CT", PatientName="new"), limit=10))) == ["1.2"]
    assert uids(run(store.page(SeriesFilter(text="old"), limit=10))) == []


def test_values_are_compared_by_what_dicom_allows_them_to_have(store):
    run(store.register(report(PatientID="7" * 500, PatientName="x" * 1024, Modality="y" * 999)))
    for found in (
        wanted(PatientID="7" * 64, PatientName="X" * 300, Modality="y" * 64),
        SeriesFilter((Wildcard(A.PATIENT_ID, "7" * 64),)),
    ):
        assert uids(run(store.page(found, limit=10))) == ["1.2"]
    assert uids(run(store.page(wanted(PatientID="7" * 63), limit=10))) == []


def test_studies_are_summed_up(filled):
    page = run(filled.studies(ALL, limit=2))
    assert [study.StudyInstanceUID for study in page.studies] == ["2.3", "2.2"]
    (last,) = run(filled.studies(ALL, limit=2, after=page.following)).studies
    assert last.model_dump(exclude={"ReceivedAt"}) == {
        "StudyInstanceUID": "2.1",
        "PatientID": "A",
        "PatientName": "Doe^Jane",
        "StudyDate": "20260101",
        "StudyDescription": "",
        "AccessionNumber": "ACC-1",
        "ModalitiesInStudy": ["MR"],
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 20,
    }
    assert last.ReceivedAt == run(filled.get("1.1")).ReceivedAt


STUDIES: list[tuple[list[Condition], list[str]]] = [
    ([OneOf(A.MODALITIES_IN_STUDY, ("MR",))], ["2.1"]),
    ([OneOf(A.MODALITY, ("MR",))], []),
    ([OneOf(A.PATIENT_ID, ("A",))], ["2.2", "2.1"]),
    ([Between(A.STUDY_DATE, "20260101", "20260201")], ["2.3", "2.2", "2.1"]),
    ([OneOf(A.STUDY, ("2.1",))], ["2.1"]),
]


def test_a_study_is_found_by_the_series_that_came_first(filled):
    for conditions, expected in STUDIES:
        page = run(filled.studies(SeriesFilter(tuple(conditions)), limit=10))
        assert [study.StudyInstanceUID for study in page.studies] == expected, conditions
        of_series = SeriesFilter(tuple(conditions), level=Level.STUDY)
        rows = run(filled.page(of_series, limit=10)).series
        assert [row.StudyInstanceUID for row in rows] == expected


def test_patients_are_summed_up(filled):
    page = run(filled.patients(ALL, limit=1))
    assert [patient.PatientID for patient in page.patients] == ["b_%"]
    (last,) = run(filled.patients(ALL, limit=1, after=page.following)).patients
    assert last.model_dump(exclude={"ReceivedAt"}) == {
        "PatientID": "A",
        "PatientName": "Doe^Jane",
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 3,
        "NumberOfPatientRelatedInstances": 30,
    }
    assert run(filled.patients(wanted(PatientID="none"), limit=1)).patients == []


def test_patient_without_an_id_is_a_patient(store):
    run(store.register(report(PatientID="")))
    run(store.register(report(PatientID=" ", SeriesInstanceUID="1.9")))
    (patient,) = run(store.patients(ALL, limit=10)).patients
    assert patient.NumberOfPatientRelatedSeries == 2
    assert len(run(store.patients(wanted(StudyInstanceUID="1.3"), limit=10)).patients) == 1


def test_totals_are_those_of_the_rows(filled):
    run(filled.register(report(**SERIES[0], **MORE[0])))
    run(filled.register(report(**SERIES[0], InstancesInSeries=15)))
    run(filled.register(report(**SERIES[0], InstancesInSeries=5)))
    assert run(filled.totals()).model_dump() == {
        "Patients": 2,
        "Studies": 3,
        "Series": 4,
        "Instances": 45,
    }


def test_totals_of_an_empty_store_are_zero(store):
    assert set(run(store.totals()).model_dump().values()) == {0}
    assert run(store.latest_change()) == 0
    assert run(store.changes(0, limit=10)) == []


def test_minutes_count_new_series_and_instances(store):
    """The clock of these stores is a second later at each report."""

    async def fill():
        for number in range(90):
            await store.register(report(SeriesInstanceUID=f"1.{number}", InstancesInSeries=2))
        await store.register(report(SeriesInstanceUID="1.0", InstancesInSeries=7))

    run(fill())
    first, second = run(store.minutes(START, START + timedelta(hours=1)))
    assert (first.Minute, second.Minute) == (START, START + timedelta(minutes=1))
    assert first.Series + second.Series == 90
    assert first.Instances + second.Instances == 185
    assert first.Series in {59, 60}
    assert run(store.minutes(second.Minute, second.Minute + timedelta(minutes=1))) == [second]
    assert run(store.minutes(START, START)) == []


def test_changes_are_numbered_without_a_gap(store):
    async def scenario():
        await store.register(report())
        await store.register(report())
        await store.register(report(InstancesInSeries=5))
        return await store.register(report(InstancesInSeries=12, Modality="MR"))

    updated = run(scenario())
    first, second = run(store.changes(0, limit=10))
    assert (first.sequence, first.outcome) == (1, Outcome.CREATED)
    assert (second.sequence, second.outcome) == (2, Outcome.UPDATED)
    assert first.series.InstancesInSeries == 10
    assert second.series == updated.series
    assert run(store.latest_change()) == 2
    assert run(store.changes(1, limit=10)) == [second]
    assert run(store.changes(0, limit=1)) == [first]
    assert run(store.changes(7, limit=1)) == []


def test_changes_of_one_moment_are_all_there(store):
    reports = [
        report(SeriesInstanceUID=f"1.{number % 7}", InstancesInSeries=number + 1)
        for number in range(100)
    ]
    run(register_all(store, reports))
    changes = run(store.changes(0, limit=1000))
    assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))
    latest = {change.series.SeriesInstanceUID: change.series for change in changes}
    assert latest == {row.SeriesInstanceUID: row for row in run(store.page(ALL, limit=10)).series}


texts = st.text(st.sampled_from("ab*?[]%_\\^ Ä\ud7ff\U0010ffff"), min_size=1, max_size=4)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(texts, min_size=1, max_size=5), texts)
def test_wildcards_match_as_in_memory(stores, values, pattern):
    """Whatever characters the database gives a meaning of its own."""
    from tests.fakes_server import MemorySeriesStore
    from tests.unit.server.examples import ticking_clock

    store, memory = stores.open(), MemorySeriesStore(ticking_clock())

    async def compare():
        for number, value in enumerate(values):
            sent = report(SeriesInstanceUID=f"1.{number}", PatientName=value, PatientID=value)
            await asyncio.gather(store.register(sent), memory.register(sent))
        for condition in (
            Wildcard(A.PATIENT_ID, pattern),
            Wildcard(A.PATIENT_NAME, pattern + "*"),
            OneOf(A.PATIENT_ID, (pattern,)),
        ):
            found = await store.page(SeriesFilter((condition,)), limit=10)
            expected = await memory.page(SeriesFilter((condition,)), limit=10)
            assert uids(found) == uids(expected)

    run(compare())
    stores.close()


def corrected(number, to, *, revision):
    """A report by which a gateway moves a series to a study and its patient."""
    said = {"StudyInstanceUID": f"2.{to}", "PatientID": f"P{to}", "Gateway": "ward-3"}
    count = {"InstancesInSeries": revision, "Revision": revision}
    return report(SeriesInstanceUID=f"1.{number}", **said, **count)


moves = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(moves=moves)
def test_series_that_a_gateway_corrects_is_found_with_its_study_and_patient(stores, moves):
    """Studies and patients are listed and counted as if each had been reported right at once."""

    async def scenario(store):
        where: dict[int, int] = {}
        for revision, (number, to) in enumerate(moves, 1):
            await store.register(corrected(number, to, revision=revision))
            where[number] = to
        totals = await store.totals()
        assert (totals.Studies, totals.Patients) == (len(set(where.values())),) * 2
        studies = (await store.studies(ALL, limit=100)).studies
        patients = (await store.patients(ALL, limit=100)).patients
        assert {study.StudyInstanceUID for study in studies} == {f"2.{to}" for to in where.values()}
        assert {patient.PatientID for patient in patients} == {f"P{to}" for to in where.values()}
        for study in studies:
            of_it = [n for n, to in where.items() if f"2.{to}" == study.StudyInstanceUID]
            found = await store.page(wanted(**{A.STUDY: study.StudyInstanceUID}), limit=100)
            assert sorted(uids(found)) == sorted(f"1.{number}" for number in of_it)

    run(scenario(stores.open()))
    stores.close()


def test_correction_is_a_change_that_history_keeps(store):
    run(store.register(corrected(1, 1, revision=1)))
    registration = run(store.register(corrected(1, 2, revision=2)))
    assert registration.outcome is Outcome.UPDATED
    assert registration.series.StudyInstanceUID == "2.2"
    assert len(run(store.history("1.1", limit=10))) == 2
    late = run(store.register(corrected(1, 1, revision=1)))
    assert (late.outcome, late.series) == (Outcome.UNCHANGED, registration.series)
