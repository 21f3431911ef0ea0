"""An index to find series by, the sequence of changes, totals, and counts per minute."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from seriesgate.server.registry.keys import key, search_text
from seriesgate.server.registry.query import Attribute
from seriesgate.server.sql.column_types import BinaryText, RowNumber, UtcDateTime

revision = "0004"
down_revision = "0003"

_BATCH = 1000
_NEWEST = ["ReceivedAt", "SeriesInstanceUID"]
_INDEXES = {
    "study": ["StudyInstanceUID", *_NEWEST, "ModalityKey", "InstancesInSeries"],
    "patient": ["PatientKey", *_NEWEST, "FirstOfStudy", "InstancesInSeries"],
    "name": ["NameKey", *_NEWEST],
    "accession": ["AccessionKey", *_NEWEST],
    "study_date": ["StudyDateKey", *_NEWEST],
    "gateway": ["GatewayKey", *_NEWEST, "ModalityKey"],
    "modality": ["ModalityKey", *_NEWEST],
}


def upgrade() -> None:
    """Make the tables, and enter the series that are there."""
    for name in ("newest", "study", "patient"):
        op.drop_index(f"ix_series_data_{name}", "series_data")
    series_index = _create_series_index()
    totals = _create_totals()
    _create_changes()
    counts = _enter_series(series_index)
    op.bulk_insert(totals, [{"Id": 1, "Sequence": 0, **counts}])
    _create_indexes(series_index)


def _create_series_index() -> sa.Table:
    return op.create_table(
        "series_index",
        sa.Column("ReceivedAt", UtcDateTime, primary_key=True),
        sa.Column("SeriesInstanceUID", BinaryText, primary_key=True),
        sa.Column("StudyInstanceUID", BinaryText, nullable=False),
        sa.Column("PatientKey", BinaryText, nullable=False),
        sa.Column("NameKey", BinaryText, nullable=False),
        sa.Column("AccessionKey", BinaryText, nullable=False),
        sa.Column("StudyDateKey", BinaryText, nullable=False),
        sa.Column("GatewayKey", BinaryText, nullable=False),
        sa.Column("ModalityKey", BinaryText, nullable=False),
        sa.Column("InstancesInSeries", sa.Integer, nullable=False),
        sa.Column("FirstOfStudy", BinaryText),
        sa.Column("FirstOfPatient", BinaryText),
        sa.Column("SearchText", BinaryText, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_indexes(series_index: sa.Table) -> None:
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_series_index_{name}", "series_index", columns)
    for first, plural, column in (
        ("first_of_study", "studies", "FirstOfStudy"),
        ("first_of_patient", "patients", "FirstOfPatient"),
    ):
        op.create_index(f"ix_series_index_{first}", "series_index", [column], unique=True)
        is_first = series_index.c[column].is_not(None)
        op.create_index(
            f"ix_series_index_{plural}",
            "series_index",
            _NEWEST,
            sqlite_where=is_first,
            postgresql_where=is_first,
        )


def _create_changes() -> None:
    op.create_table(
        "series_changes",
        sa.Column("Sequence", RowNumber, primary_key=True, autoincrement=False),
        sa.Column("SeriesInstanceUID", BinaryText, nullable=False),
        sa.Column("Digest", BinaryText, nullable=False),
        sa.Column("Outcome", BinaryText, nullable=False),
        sa.Column("ChangedAt", UtcDateTime, nullable=False),
    )
    op.create_table(
        "minute_counts",
        sa.Column("Minute", UtcDateTime, primary_key=True),
        sa.Column("Series", sa.BigInteger, nullable=False),
        sa.Column("Instances", sa.BigInteger, nullable=False),
    )


def _create_totals() -> sa.Table:
    return op.create_table(
        "server_totals",
        sa.Column("Id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("Sequence", sa.BigInteger, nullable=False),
        sa.Column("Patients", sa.BigInteger, nullable=False),
        sa.Column("Studies", sa.BigInteger, nullable=False),
        sa.Column("Series", sa.BigInteger, nullable=False),
        sa.Column("Instances", sa.BigInteger, nullable=False),
    )


def _enter_series(series_index: sa.Table) -> dict[str, int]:
    """Enter every series; give the totals."""
    studies: set[str] = set()
    patients: set[str] = set()
    series = instances = 0
    for batch in _batches():
        for entry in batch:
            for column, value, known in (
                ("FirstOfStudy", entry["StudyInstanceUID"], studies),
                ("FirstOfPatient", entry["PatientKey"], patients),
            ):
                entry[column] = None if value in known else value
                known.add(value)
        op.get_bind().execute(sa.insert(series_index), batch)
        series += len(batch)
        instances += sum(entry["InstancesInSeries"] for entry in batch)
    return {
        "Patients": len(patients),
        "Studies": len(studies),
        "Series": series,
        "Instances": instances,
    }


def _batches() -> Iterator[list[dict[str, Any]]]:
    """Give the entries of all series, the oldest first."""
    texts = (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "AccessionNumber",
        "StudyDate",
        "Gateway",
        "Modality",
        "StudyDescription",
        "SeriesDescription",
    )
    series_data = sa.table(
        "series_data",
        sa.column("ReceivedAt", UtcDateTime),
        sa.column("SeriesInstanceUID", sa.Text),
        sa.column("InstancesInSeries", sa.Integer),
        *(sa.column(name, BinaryText) for name in texts),
    )
    oldest_first = sa.select(series_data).order_by(
        series_data.c.ReceivedAt, series_data.c.SeriesInstanceUID
    )
    for rows in op.get_bind().execute(oldest_first).mappings().partitions(_BATCH):
        yield [_entry(dict(row)) for row in rows]


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "ReceivedAt": row["ReceivedAt"],
        "SeriesInstanceUID": row["SeriesInstanceUID"],
        "StudyInstanceUID": row["StudyInstanceUID"],
        "PatientKey": key(Attribute.PATIENT_ID, row["PatientID"]),
        "NameKey": key(Attribute.PATIENT_NAME, row["PatientName"]),
        "AccessionKey": key(Attribute.ACCESSION_NUMBER, row["AccessionNumber"]),
        "StudyDateKey": key(Attribute.STUDY_DATE, row["StudyDate"]),
        "GatewayKey": key(Attribute.GATEWAY, row["Gateway"]),
        "ModalityKey": key(Attribute.MODALITY, row["Modality"]),
        "InstancesInSeries": row["InstancesInSeries"],
        "SearchText": search_text(row),
    }
