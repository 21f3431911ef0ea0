"""Text for patient IDs, the optional fields of a report, times of arrival, and the history."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0002"
down_revision = "0001"

_BATCH = 1000


def upgrade() -> None:
    """Make the new tables and take over the rows of the old one."""
    op.rename_table("series_data", "original_series_data")
    if op.get_context().dialect.name == "postgresql":
        # There the index of a primary key has a name, which the new table shall have.
        op.execute("ALTER INDEX series_data_pkey RENAME TO original_series_data_pkey")
    series_data = _create_series_data()
    series_reports = _create_series_reports()
    _take_over(series_data, series_reports, context.config.attributes["now"])
    op.drop_table("original_series_data")


def _create_series_data() -> sa.Table:
    table = op.create_table(
        "series_data",
        sa.Column("SeriesInstanceUID", BinaryText, primary_key=True),
        sa.Column("PatientName", BinaryText, nullable=False),
        sa.Column("PatientID", BinaryText, nullable=False),
        sa.Column("StudyInstanceUID", BinaryText, nullable=False),
        sa.Column("InstancesInSeries", sa.Integer, nullable=False),
        sa.Column("Revision", sa.Integer, nullable=False),
        sa.Column("AddedInstances", sa.Integer),
        sa.Column("Modality", BinaryText, nullable=False),
        sa.Column("SeriesNumber", sa.Integer),
        sa.Column("SeriesDescription", BinaryText, nullable=False),
        sa.Column("BodyPartExamined", BinaryText, nullable=False),
        sa.Column("StudyDate", BinaryText, nullable=False),
        sa.Column("StudyDescription", BinaryText, nullable=False),
        sa.Column("AccessionNumber", BinaryText, nullable=False),
        sa.Column("Manufacturer", BinaryText, nullable=False),
        sa.Column("CallingAETitle", BinaryText, nullable=False),
        sa.Column("Gateway", BinaryText, nullable=False),
        sa.Column("Bytes", sa.BigInteger),
        sa.Column("FirstInstanceAt", UtcDateTime),
        sa.Column("LastInstanceAt", UtcDateTime),
        sa.Column("ClosedAt", UtcDateTime),
        sa.Column("MissingInstanceNumbers", sa.JSON, nullable=False),
        sa.Column("ConflictingInstances", sa.JSON, nullable=False),
        sa.Column("InconsistentAttributes", sa.JSON, nullable=False),
        sa.Column("DamagedInstances", sa.JSON, nullable=False),
        sa.Column("ReceivedAt", UtcDateTime, nullable=False),
        sa.Column("UpdatedAt", UtcDateTime, nullable=False),
    )
    op.create_index("ix_series_data_newest", "series_data", ["ReceivedAt", "SeriesInstanceUID"])
    op.create_index("ix_series_data_study", "series_data", ["StudyInstanceUID"])
    op.create_index("ix_series_data_patient", "series_data", ["PatientID"])
    return table


def _create_series_reports() -> sa.Table:
    return op.create_table(
        "series_reports",
        sa.Column("SeriesInstanceUID", BinaryText, primary_key=True),
        sa.Column("Digest", BinaryText, primary_key=True),
        sa.Column("ReceivedAt", UtcDateTime, nullable=False),
        sa.Column("IdempotencyKey", BinaryText),
        sa.Column("Report", BinaryText, nullable=False),
    )


def _take_over(series_data: sa.Table, series_reports: sa.Table, now: datetime) -> None:
    """Copy the old rows: each becomes history, and the one with the most instances the row.

    The old table need not have had a primary key, so a series may have several rows.
    """
    connection = op.get_bind()
    previous: str | None = None
    for batch in connection.execute(_old_rows()).mappings().partitions(_BATCH):
        kept: list[dict[str, Any]] = []
        for old in batch:
            if old["SeriesInstanceUID"] is None:
                raise DatabaseUnusable("a row of series_data has no SeriesInstanceUID; delete it")
            if old["SeriesInstanceUID"] != previous:
                kept.append(_row(dict(old), now))
            previous = old["SeriesInstanceUID"]
        if kept:
            connection.execute(sa.insert(series_data), kept)
        connection.execute(sa.insert(series_reports), [_report(dict(old), now) for old in batch])


def _old_rows() -> sa.Select[*tuple[Any, ...]]:
    """NULL becomes empty text, and a count that is NULL 0: any report has more instances."""
    names = ("PatientName", "PatientID", "StudyInstanceUID")
    uid = sa.cast(sa.column("SeriesInstanceUID"), sa.Text).label("SeriesInstanceUID")
    texts = [sa.func.coalesce(sa.cast(sa.column(name), sa.Text), "").label(name) for name in names]
    count = sa.func.coalesce(sa.cast(sa.column("InstancesInSeries"), sa.Integer), 0)
    return (
        sa.select(uid, *texts, count.label("InstancesInSeries"))
        .select_from(sa.table("original_series_data"))
        .distinct()
        .order_by(sa.text("1, 5 DESC"))
    )


def _row(old: dict[str, Any], now: datetime) -> dict[str, Any]:
    optional_texts = (
        "Modality",
        "SeriesDescription",
        "BodyPartExamined",
        "StudyDate",
        "StudyDescription",
        "AccessionNumber",
        "Manufacturer",
        "CallingAETitle",
        "Gateway",
    )
    lists: dict[str, list[Any]] = {
        "MissingInstanceNumbers": [],
        "ConflictingInstances": [],
        "InconsistentAttributes": [],
        "DamagedInstances": [],
    }
    times = {"ReceivedAt": now, "UpdatedAt": now}
    return old | dict.fromkeys(optional_texts, "") | lists | times | {"Revision": 1}


def _report(old: dict[str, Any], now: datetime) -> dict[str, Any]:
    text = json.dumps(old, ensure_ascii=False, separators=(",", ":"))
    return {
        "Digest": sha256(text.encode()).hexdigest(),
        "SeriesInstanceUID": old["SeriesInstanceUID"],
        "ReceivedAt": now,
        "Report": text,
    }
