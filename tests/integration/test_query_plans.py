"""Each list goes along an index in its order: no query sorts or reads a whole table."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, event, select, text
from tests.unit.server.examples import START, report

from seriesgate.server.registry.query import (
    Attribute,
    Between,
    Level,
    OneOf,
    Order,
    SeriesFilter,
    SortBy,
    Wildcard,
)
from seriesgate.server.registry.store import PagePosition
from seriesgate.server.sql.find import find_positions
from seriesgate.server.sql.read import read_changes, read_patients, read_studies
from seriesgate.server.sql.register import PostedReport, register_group
from seriesgate.server.sql.schema import upgrade
from seriesgate.server.sql.search_bounds import SearchBounds
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.tables import series_index
from seriesgate.server.sql.text_index import are_in_many

A = Attribute
ROWS = 3000
AFTER = PagePosition(START + timedelta(seconds=ROWS // 2), "1.1")
#: The filter, the index that its list goes along.
FILTERS = {
    "pk": SeriesFilter(),
    "pk, but for times": SeriesFilter(received_from=START, received_before=AFTER.received_at),
    "pk, but for text": SeriesFilter(text="no one"),
    "study": SeriesFilter((OneOf(A.STUDY, ("2.7",)),)),
    "patient": SeriesFilter((OneOf(A.PATIENT_ID, ("P7",)), OneOf(A.MODALITY, ("MR",)))),
    "gateway": SeriesFilter((OneOf(A.GATEWAY, ("g1",)),)),
    "gateway_modality": SeriesFilter((OneOf(A.GATEWAY, ("g1",)), OneOf(A.MODALITY, ("MR",)))),
    "modality": SeriesFilter((OneOf(A.MODALITY, ("MR",)),)),
    "accession": SeriesFilter((OneOf(A.ACCESSION_NUMBER, ("A7",)),), text="x"),
    "name": SeriesFilter((Wildcard(A.PATIENT_NAME, "Doe1*"),)),
    "study_date": SeriesFilter((Between(A.STUDY_DATE, "20260101", "20260102"),)),
    "studies": SeriesFilter(level=Level.STUDY),
    "patients": SeriesFilter(level=Level.PATIENT),
}
SORTED = {"study", "patient", "accession", "pk, but for text"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory, postgresql):
    """A connection to a database with some thousand series, and the queries that it ran."""
    url = None
    if request.param == "sqlite":
        engine = sqlite_engine(tmp_path_factory.mktemp("plans") / "series_data.db")
        upgrade(engine, START)
    else:
        url = postgresql.migrated_database()
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    queries = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, _context, _many):
        queries.append((statement, parameters))

    with engine.begin() as connection:
        register_group(connection, [posted(number) for number in range(ROWS)])
        connection.execute(text("ANALYZE"))
    with engine.begin() as connection:
        if url is not None:  # a table of this size is read fastest as a whole, a big one is not
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        yield SimpleNamespace(connection=connection, queries=queries)
    engine.dispose()
    if url is not None:
        postgresql.give_back(url)


def posted(number):
    sent = report(
        SeriesInstanceUID=f"1.{number}",
        InstancesInSeries=number % 50 + 1,
        StudyInstanceUID=f"2.{number // 4}",
        PatientID=f"P{number // 8}",
        PatientName=f"Doe{number // 8}",
        Modality="MR" if number % 100 else "OT",
        Gateway=f"g{number % 2}",
        AccessionNumber=f"A{number // 4}",
        StudyDate=f"202601{number % 28 + 1:02}",
    )
    return PostedReport(sent, None, START + timedelta(seconds=number))


def plans(database, run):
    """What the database says of how it runs the queries of `run`."""
    database.queries.clear()
    run(database.connection)
    explain = "EXPLAIN QUERY PLAN " if database.connection.dialect.name == "sqlite" else "EXPLAIN "
    return [
        "\n".join(
            str(row[-1]) for row in database.connection.exec_driver_sql(explain + query, parameters)
        )
        for query, parameters in list(database.queries)
        if query.startswith("SELECT")
    ]


WITHOUT_SHORTCUTS = SearchBounds(examined=100, has_shortcuts=False)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
def test_lists_go_along_their_index(database, name, after):
    if after is not None and name in {"name", "study_date"}:
        key = "doe1" if name == "name" else "20260102"
        after = PagePosition(after.received_at, after.series_instance_uid, key)
    found = plans(
        database,
        lambda connection: find_positions(
            connection, FILTERS[name], 10, after, bounds=WITHOUT_SHORTCUTS
        ),
    )
    index = name.split(",")[0]
    for plan in found:
        if database.connection.dialect.name == "sqlite":
            assert "\n" not in plan, plan  # such as a line for sorting
            along = r"SCAN series_index$|PRIMARY KEY" if index == "pk" else rf"_index_{index}\b"
            assert re.search(along, plan), plan
        else:
            # What many series have, it may as well find along the list of all.
            others = dict.fromkeys(("gateway", "modality", "gateway_modality"), "|pkey")
            along = "pkey" if index == "pk" else index + others.get(index, "")
            assert re.search(rf"series_index_({along})\b", plan), plan
            # Of the few that a study has, or that one query looks at, it may rather sort.
            assert "Sort" not in plan or name in SORTED, plan


@pytest.mark.parametrize(
    ("by", "index"),
    [
        (SortBy.PATIENT_NAME, "name"),
        (SortBy.PATIENT_ID, "patient"),
        (SortBy.STUDY_DATE, "study_date"),
        (SortBy.INSTANCES, "instances"),
    ],
)
@pytest.mark.parametrize("descending", [True, False])
def test_orders_go_along_their_index(database, by, index, descending):
    order = Order(by, descending)
    wanted = SeriesFilter((OneOf(A.PATIENT_ID, ("P7",)),))
    is_sqlite = database.connection.dialect.name == "sqlite"
    for after in (None, PagePosition(START + timedelta(seconds=7), "1.7")):
        found = plans(
            database,
            lambda connection, after=after: find_positions(
                connection, wanted, 10, after, order, WITHOUT_SHORTCUTS
            ),
        )
        if after is not None:
            assert re.search(r"KEY \(ReceivedAt=|_pkey", found.pop(0))
        # The few that one query looks at, PostgreSQL may rather sort.
        for plan in found if is_sqlite else found[:1]:
            assert f"ix_series_index_{index}" in plan
            assert "Sort" not in plan
            assert "TEMP B-TREE" not in plan


#: A filter that few series meet, and the index that has these.
SHORTCUTS = {
    "series_text": SeriesFilter(text="doe7"),
    "ix_series_index_patient": SeriesFilter(
        (OneOf(A.MODALITIES_IN_STUDY, ("MR",)), OneOf(A.PATIENT_ID, ("P7",)))
    ),
    "ix_series_index_modality": SeriesFilter((OneOf(A.MODALITIES_IN_STUDY, ("OT",)),)),
    "ix_series_index_name": SeriesFilter((Wildcard(A.PATIENT_NAME, "Doe7*"),)),
    "PRIMARY KEY|_pkey": SeriesFilter(
        received_from=START, received_before=START + timedelta(seconds=9)
    ),
}


@pytest.mark.parametrize("index", SHORTCUTS)
def test_shortcuts_read_the_few_alone(database, index):
    bounds = SearchBounds(before_a_shortcut=1, elsewhere=1, in_an_index=1)
    order = Order(SortBy.INSTANCES)
    found = plans(
        database,
        lambda connection: find_positions(connection, SHORTCUTS[index], 10, None, order, bounds),
    )
    counted, read = found[-2:]
    assert re.search(index, counted), counted
    for plan in (counted, read):
        assert "Seq Scan" not in plan
        assert not re.search(r"SCAN series_(index|data)", plan), plan


def test_index_of_texts_knows_what_a_gateway_and_a_modality_have_of_a_text(database):
    """Many series have each of them, and none has all: one look tells, and no walk."""
    bounds = SearchBounds(before_a_shortcut=1, few=10)
    wanted = SeriesFilter((OneOf(A.GATEWAY, ("g1",)), OneOf(A.MODALITY, ("OT",))), text="doe")
    assert find_positions(database.connection, wanted, 10, None, bounds=bounds) == ([], None)


def test_orders_limited_to_a_modality_and_a_gateway_read_their_index_alone(database):
    wanted = SeriesFilter((OneOf(A.MODALITY, ("MR",)), OneOf(A.GATEWAY, ("g1",))))
    is_sqlite = database.connection.dialect.name == "sqlite"
    for by, index in ((SortBy.PATIENT_NAME, "name"), (SortBy.INSTANCES, "instances")):
        found = plans(
            database,
            lambda connection, by=by: find_positions(connection, wanted, 10, None, Order(by)),
        )
        for plan in found:
            assert f"ix_series_index_{index}" in plan
            assert not is_sqlite or "COVERING INDEX" in plan


def test_a_description_is_looked_up_only_where_the_text_can_be_it(database):
    """So one query may look at as many series as if the index had it."""
    bounds = SearchBounds(elsewhere=1, before_a_shortcut=4000)
    for condition in (
        OneOf(A.SERIES_DESCRIPTION, ("none such",)),
        Wildcard(A.STUDY_DESCRIPTION, "?none*"),
    ):
        wanted = SeriesFilter((condition,))
        assert find_positions(database.connection, wanted, 10, None, bounds=bounds) == ([], None)


def test_a_description_that_another_text_has_is_looked_up_for_few_series(database):
    """Each patient's name has the text; of few series is it seen that no description is it."""
    bounds = SearchBounds(before_a_shortcut=100, few=10)
    for description, steps in (("doe", 300), ("do", 100)):
        wanted = SeriesFilter((OneOf(A.SERIES_DESCRIPTION, (description,)),))
        found, after = find_positions(database.connection, wanted, 10, None, bounds=bounds)
        assert found == []
        assert after is not None
        assert after.series_instance_uid == f"1.{ROWS - steps}"


def test_a_text_that_a_sample_shows_in_many_series_is_not_counted(database):
    """PostgreSQL's index would find all of them before it gives the first."""
    bounds = SearchBounds(before_a_shortcut=1, few=ROWS // 50, sampled_from=50)
    is_sqlite = database.connection.dialect.name == "sqlite"
    for wanted, is_counted in (("doe", is_sqlite), ("doe77", True)):
        found = plans(
            database,
            lambda connection, wanted=wanted: find_positions(
                connection, SeriesFilter(text=wanted), 100, None, Order(SortBy.INSTANCES), bounds
            ),
        )
        counts = [query for query, _ in database.queries if "count" in query]
        assert any("LIMIT" in query for query in counts) == is_counted
        for plan in found:
            assert "Seq Scan on series_text" not in plan


def test_a_sample_tells_nothing_of_what_few_series_have_and_of_few_series(database):
    is_sqlite = database.connection.dialect.name == "sqlite"
    assert are_in_many(database.connection, ["doe"], ROWS) != is_sqlite
    assert not are_in_many(database.connection, ["doe"], ROWS + 1)
    assert not are_in_many(database.connection, ["doe", "doe77"], ROWS)


@pytest.mark.parametrize(
    ("level", "attribute", "values", "index", "series"),
    [
        (Level.STUDY, A.STUDY, ("2.7",), "first_of_study", ["1.28"]),
        (Level.STUDY, A.STUDY, ("2.7", "2.9", "none"), "first_of_study", ["1.36", "1.28"]),
        (Level.PATIENT, A.PATIENT_ID, ("P7", "P9 "), "first_of_patient", ["1.72", "1.56"]),
    ],
)
def test_named_studies_and_patients_are_read_from_the_firsts(
    database, level, attribute, values, index, series
):
    wanted, found = SeriesFilter((OneOf(attribute, values),), level=level), []

    def find_all(connection):
        found.append(find_positions(connection, wanted, 10, None))

    (plan,) = plans(database, find_all)
    assert f"ix_series_index_{index}" in plan
    ((positions, following),) = found
    assert [position.series_instance_uid for position in positions] == series
    assert following is None


@pytest.mark.parametrize("read", [read_studies, read_patients])
def test_sums_are_read_from_an_index(database, read):
    *_, plan = plans(database, lambda connection: read(connection, SeriesFilter(), 10, None))
    assert "Seq Scan" not in plan
    assert "SCAN series_index" not in plan
    assert "ix_series_index_" in plan


@pytest.mark.parametrize("of", ["study", "patient"])
def test_whether_a_study_or_patient_is_known_is_read_from_the_firsts(database, of):
    first = series_index.c[f"FirstOf{of.capitalize()}"]
    wanted = select(first).where(first.in_(["2.1", "P1", "none"]))
    (plan,) = plans(database, lambda connection: connection.execute(wanted))
    assert f"ix_series_index_first_of_{of}" in plan
    assert "Seq Scan" not in plan


def test_changes_are_read_from_where_the_reader_is(database):
    found = plans(database, lambda connection: read_changes(connection, ROWS - 5, 10))
    assert len(found) == 3
    for plan in found:
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan
        assert "Join" not in plan  # a planner may choose one that reads whole tables


def test_a_rare_text_is_searched_for_in_bounded_steps(database):
    """Each query looks at so many series, and says where the next one goes on."""
    bounds = SearchBounds(examined=1000, has_shortcuts=False)
    wanted, after, found = SeriesFilter(text="doe0"), None, []
    steps = 0
    while True:
        positions, after = find_positions(database.connection, wanted, 100, after, bounds=bounds)
        found += [position.series_instance_uid for position in positions]
        steps += 1
        if after is None:
            break
        assert len(positions) < 100
    assert found == [f"1.{number}" for number in range(7, -1, -1)]
    assert steps == 4


@pytest.mark.parametrize("descending", [True, False])
def test_a_walk_goes_on_where_no_shortcut_helps(database, descending):
    """One query looks at so many series, asks for a shortcut, and looks at so many more."""
    bounds = SearchBounds(before_a_shortcut=100, without_a_shortcut=200, few=10)
    wanted, after, found = SeriesFilter(text="doe1"), None, []
    order = Order(SortBy.RECEIVED, descending)
    for _ in range(ROWS // 300):
        positions, after = find_positions(database.connection, wanted, 1000, after, order, bounds)
        found += [position.series_instance_uid for position in positions]
    expected = [f"1.{n}" for n in range(ROWS) if f"doe{n // 8}".startswith("doe1")]
    assert found == (expected[::-1] if descending else expected)
