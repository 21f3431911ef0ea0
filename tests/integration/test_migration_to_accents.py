"""A database from before texts were composed, and series deleted, on both databases."""

from __future__ import annotations

from asyncio import run
from unicodedata import normalize

import pytest
from sqlalchemy import create_engine, text
from tests.unit.server.examples import START, report, ticking_clock

from seriesgate.server.registry.query import Attribute, OneOf, SeriesFilter
from seriesgate.server.sql.opening import open_store, upgrade_database
from seriesgate.server.sql.text_index import add_texts, create_text_index, drop_text_index

NAMES = [
    normalize("NFD", "Müller^Jörg"),
    normalize("NFC", "Müller^Jörg"),
    "Plain^Jane",
    "山田^太郎",
]
ALL = SeriesFilter()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path, postgresql):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/series_data.db"
    else:
        url = postgresql.migrated_database()
        yield url
        postgresql.give_back(url)


def put_back(url):
    """Make the database what version 0021 had made of the same reports."""
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(driver)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE deleted_series",
            "DROP INDEX ix_series_changes_series",
            'ALTER TABLE server_totals DROP COLUMN "Numbers"',
            'ALTER TABLE server_totals DROP COLUMN "DigestKey"',
            "UPDATE alembic_version SET version_num = '0021'",
        ):
            connection.execute(text(statement))
        drop_text_index(connection)
        create_text_index(connection)
        firsts = set()
        rows = connection.execute(
            text(
                'SELECT i."Number", d."PatientName", d."PatientID" FROM series_index i'
                ' JOIN series_data d ON d."SeriesInstanceUID" = i."SeriesInstanceUID"'
                ' ORDER BY i."Number"'
            )
        ).all()
        for number, name, patient in rows:
            first = None if patient in firsts else patient
            firsts.add(patient)
            connection.execute(
                text(
                    'UPDATE series_index SET "NameKey" = :name, "SearchText" = :name,'
                    ' "PatientKey" = :patient, "FirstOfPatient" = :first WHERE "Number" = :number'
                ),
                {"name": name.casefold(), "patient": patient, "first": first, "number": number},
            )
            add_texts(connection, {number: f"{name.casefold()}\n{patient.casefold()}"})
        connection.execute(text(f'UPDATE server_totals SET "Patients" = {len(firsts)}'))
    engine.dispose()


def found(store, **wanted):
    page = run(store.page(SeriesFilter(**wanted), limit=9))
    return sorted(row.SeriesInstanceUID for row in page.series)


def test_series_that_were_there_are_found_in_either_form(database_url):
    store = open_store(database_url, clock=ticking_clock())
    for number, name in enumerate(NAMES):
        run(
            store.register(
                report(SeriesInstanceUID=f"1.{number}", PatientName=name, PatientID=name)
            )
        )
    run(store.close())
    put_back(database_url)
    upgrade_database(database_url)
    store = open_store(database_url, clock=lambda: START)
    try:
        for form in ("NFC", "NFD"):
            name = normalize(form, "Müller^Jörg")
            assert found(store, text=name) == ["1.0", "1.1"]
            for attribute in (Attribute.PATIENT_NAME, Attribute.PATIENT_ID):
                assert found(store, conditions=(OneOf(attribute, (name,)),)) == ["1.0", "1.1"]
        assert found(store, text="jane") == ["1.2"]
        assert found(store, text="太郎") == ["1.3"]
        # What were two patients by their spelling is one.
        assert run(store.totals()).Patients == 3
        patients = run(store.patients(ALL, limit=9)).patients
        assert [each.NumberOfPatientRelatedSeries for each in patients] == [1, 1, 2]
        # Numbers go on, and what there was can be deleted and is known then.
        run(store.register(report(SeriesInstanceUID="1.9", PatientName="New^Name")))
        assert found(store, text="new^name") == ["1.9"]
        assert run(store.delete_patient(normalize("NFC", "Müller^Jörg"))) == 2
        assert run(store.totals()).Patients == 3
        assert found(store, text="müller") == []
    finally:
        run(store.close())
