"""Fills a server's database with as many series as a benchmark wants, in bulk.

What is written is what so many reports would have left: rows, history, index, changes and totals.
Indexes are dropped before and made after, which sorts each once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Index, Table, create_engine, event, make_url, text, update

from seriesgate.server.registry.keys import indexed_text
from seriesgate.server.registry.store import StoredSeries
from seriesgate.server.sql.opening import upgrade_database
from seriesgate.server.sql.record import index_row, mark_firsts
from seriesgate.server.sql.tables import (
    series_changes,
    series_data,
    series_index,
    series_reports,
    server_totals,
)
from seriesgate.server.sql.text_index import add_texts, filling, merge_texts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

_BATCH = 20_000
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_APART = timedelta(seconds=60)
# Of ninety days, at that pace: a server forgets those before, and is busy with it for a while.
_KEPT_CHANGES = 90 * 24 * 60

_SURNAMES = (
    *("Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez"),
    *("Martinez", "Hernandez", "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor"),
    *(
        "Moore",
        "Jackson",
        "Martin",
        "Müller",
        "Weber",
        "Nowak",
        "Rossi",
        "Dubois",
        "山田",
        "Ivanova",
    ),
)
_GIVEN_NAMES = (
    *("James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David"),
    *("Elizabeth", "William", "Barbara", "Richard", "Susan", "Joseph", "Jessica", "太郎", "Anna"),
)
_STUDIES = {
    "MR": ("Brain", "Knee left", "Lumbar spine"),
    "CT": ("Thorax", "Abdomen with contrast", "Head"),
    "CR": ("Chest PA", "Hand right"),
    "US": ("Abdomen", "Thyroid"),
}
_SERIES = ("t1_mprage_sag", "t2_tse_tra", "localizer", "axial 1.0 B30f", "coronal MPR", "dwi_b1000")


def fill(database_url: str, count: int) -> None:
    """Write `count` series into a database without any, whose tables are made if need be."""
    upgrade_database(database_url)
    url = make_url(database_url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    if url.drivername == "sqlite":
        event.listen(engine, "connect", _without_journal)
    with engine.begin() as connection:
        tables = (series_data, series_reports, series_index, series_changes)
        indexes = [index for table in tables for index in table.indexes]
        for index in indexes:
            index.drop(connection)
        with filling(connection):
            totals = _fill(connection, count)
        connection.execute(update(server_totals).values(**totals))
        _create(connection, indexes)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL does by itself in time.
        if connection.dialect.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))
        else:
            # What the server does while it is idle.
            while merge_texts(connection):
                pass
    engine.dispose()


def _without_journal(connection: sqlite3.Connection, _record: object) -> None:
    """Write each page once: what a crash leaves is thrown away, and the server sets what it needs.

    Indexes are sorted in memory.
    """
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-524288"):
        connection.execute(f"PRAGMA {pragma}")


def series(number: int) -> dict[str, Any]:
    """Give the row of the series of this number: four to a study, two studies to a patient."""
    study, patient = number // 4, number // 8
    modality = "OT" if number % 50_000 == 77 else tuple(_STUDIES)[study % len(_STUDIES)]
    studies = _STUDIES.get(modality, ("Other",))
    received = _FIRST + number * _APART
    name = f"{_SURNAMES[patient % len(_SURNAMES)]}^{_GIVEN_NAMES[patient // 7 % len(_GIVEN_NAMES)]}"
    return {
        "SeriesInstanceUID": f"1.2.826.0.1.3680043.2.1125.7.{number:012d}.1",
        "PatientName": "Zyzzyva^Quentin" if patient % 30_000 == 123 else f"{name}^{patient % 997}",
        "PatientID": f"P{patient:08d}",
        "StudyInstanceUID": f"1.2.826.0.1.3680043.2.1125.8.{study:012d}",
        "InstancesInSeries": 1 + number * 7919 % 600,
        "Revision": 1,
        "AddedInstances": 1 + number * 7919 % 600,
        "Modality": modality,
        "SeriesNumber": number % 4 + 1,
        "SeriesDescription": _SERIES[number % len(_SERIES)],
        "BodyPartExamined": "HEAD",
        "StudyDate": f"{received:%Y%m%d}",
        "StudyDescription": studies[study % len(studies)],
        "AccessionNumber": f"A{study:09d}",
        "Manufacturer": "ACME",
        "CallingAETitle": "MODALITY",
        "Gateway": "mobile" if number % 100_000 == 5 else f"ward-{study % 4}",
        "Bytes": 92_274_688,
        "FirstInstanceAt": received - timedelta(seconds=9),
        "LastInstanceAt": received - timedelta(seconds=2),
        "ClosedAt": received - timedelta(seconds=1),
        "MissingInstanceNumbers": [],
        "ConflictingInstances": [],
        "InconsistentInstances": [],
        "InconsistentInstanceCount": 0,
        "InconsistentAttributes": [],
        "DamagedInstances": [],
        "ReceivedAt": received,
        "UpdatedAt": received,
        "HasPreview": False,
    }


def _fill(connection: Connection, count: int) -> dict[str, int]:
    """Write the rows of all tables but for the totals, which it gives."""
    studies: set[str] = set()
    patients: set[str] = set()
    instances = 0
    now = datetime.now(UTC)
    forgotten = max(0, count - _KEPT_CHANGES)
    for start in range(0, count, _BATCH):
        rows = [series(number) for number in range(start, min(start + _BATCH, count))]
        entries = [index_row(StoredSeries.model_construct(**row)) for row in rows]
        mark_firsts(entries, studies, patients)
        for number, entry in enumerate(entries, start + 1):
            entry["Number"] = number
        reports = [_report(row) for row in rows]
        changes = [
            {
                "Sequence": sequence,
                "SeriesInstanceUID": row["SeriesInstanceUID"],
                "Digest": report["Digest"],
                "Outcome": "created",
                "ChangedAt": now,
            }
            for sequence, (row, report) in enumerate(zip(rows, reports, strict=True), start + 1)
            if sequence > forgotten
        ]
        for table, values in (
            (series_data, rows),
            (series_reports, reports),
            (series_index, entries),
            (series_changes, changes),
        ):
            _write(connection, table, values)
        texts = {start + place: indexed_text(row) for place, row in enumerate(rows, 1)}
        add_texts(connection, texts)
        instances += sum(row["InstancesInSeries"] for row in rows)
    return {
        "Sequence": count,
        "Forgotten": forgotten,
        "Patients": len(patients),
        "Studies": len(studies),
        "Series": count,
        "Numbers": count,
        "Instances": instances,
    }


def _report(row: dict[str, Any]) -> dict[str, Any]:
    stated = {name: value for name, value in row.items() if name[-2:] != "At" and value != []}
    report = json.dumps(stated, ensure_ascii=False)
    return {
        "SeriesInstanceUID": row["SeriesInstanceUID"],
        "Digest": sha256(report.encode()).hexdigest(),
        "ReceivedAt": row["ReceivedAt"],
        "Report": report,
    }


def _write(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows past SQLAlchemy, which is slow at a million, but with its conversions."""
    dialect = connection.dialect
    cursor: Any = connection.connection.cursor()
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = _converted(connection, table, rows)
    if dialect.name == "sqlite":
        marks = ", ".join("?" for _ in table.columns)
        cursor.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", values)
        return
    with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
        for each in values:
            copy.write_row(each)


def _converted(
    connection: Connection, table: Table, rows: Iterable[dict[str, Any]]
) -> Iterator[list[Any]]:
    dialect = connection.dialect
    conversions = [
        (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
        for column in table.columns
    ]
    for row in rows:
        yield [
            row.get(name) if convert is None else convert(row.get(name))
            for name, convert in conversions
        ]


def _create(connection: Connection, indexes: Iterable[Index]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    for index in indexes:
        index.create(connection)
