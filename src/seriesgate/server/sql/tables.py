"""The tables, as they are after the last migration.

Decided in ADR 10.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    event,
    false,
)

from seriesgate.server.sql.column_types import BinaryText, RowNumber, UtcDateTime
from seriesgate.server.sql.text_index import create_text_index

metadata = MetaData()

series_data = Table(
    "series_data",
    metadata,
    Column("SeriesInstanceUID", BinaryText, primary_key=True),
    Column("PatientName", BinaryText, nullable=False),
    Column("PatientID", BinaryText, nullable=False),
    Column("StudyInstanceUID", BinaryText, nullable=False),
    Column("InstancesInSeries", Integer, nullable=False),
    Column("Revision", Integer, nullable=False),
    Column("AddedInstances", Integer),
    Column("Modality", BinaryText, nullable=False),
    Column("SeriesNumber", Integer),
    Column("SeriesDescription", BinaryText, nullable=False),
    Column("BodyPartExamined", BinaryText, nullable=False),
    Column("StudyDate", BinaryText, nullable=False),
    Column("StudyDescription", BinaryText, nullable=False),
    Column("AccessionNumber", BinaryText, nullable=False),
    Column("Manufacturer", BinaryText, nullable=False),
    Column("CallingAETitle", BinaryText, nullable=False),
    Column("Gateway", BinaryText, nullable=False),
    Column("Bytes", BigInteger),
    Column("FirstInstanceAt", UtcDateTime),
    Column("LastInstanceAt", UtcDateTime),
    Column("ClosedAt", UtcDateTime),
    Column("MissingInstanceNumbers", JSON, nullable=False),
    Column("ConflictingInstances", JSON, nullable=False),
    Column("InconsistentAttributes", JSON, nullable=False),
    Column("DamagedInstances", JSON, nullable=False),
    Column("ReceivedAt", UtcDateTime, nullable=False),
    Column("UpdatedAt", UtcDateTime, nullable=False),
    Column("HasPreview", Boolean, nullable=False, server_default=false()),
    Column("InconsistentInstances", JSON, nullable=False, server_default="[]"),
    Column("InconsistentInstanceCount", Integer, nullable=False, server_default="0"),
)

# Apart from the rows, which lists read: a picture is many times as long.
series_previews = Table(
    "series_previews",
    metadata,
    Column("SeriesInstanceUID", BinaryText, primary_key=True),
    Column("MediaType", BinaryText, nullable=False),
    Column("Content", LargeBinary, nullable=False),
)

series_reports = Table(
    "series_reports",
    metadata,
    Column("SeriesInstanceUID", BinaryText, primary_key=True),
    # SHA-256 of Report: equal reports of a series are one entry.
    Column("Digest", BinaryText, primary_key=True),
    Column("ReceivedAt", UtcDateTime, nullable=False),
    Column("IdempotencyKey", BinaryText),
    Column("Report", BinaryText, nullable=False),
    # When the series was repaired without it (see `sql.repair`): it is never the row again.
    Column("WithdrawnAt", UtcDateTime),
)

tokens = Table(
    "tokens",
    metadata,
    Column("Name", BinaryText, primary_key=True),
    # SHA-256 of the token, which itself is kept nowhere.
    Column("Digest", BinaryText, nullable=False, unique=True),
    Column("Scopes", JSON, nullable=False),
    Column("CreatedAt", UtcDateTime, nullable=False),
    Column("RevokedAt", UtcDateTime),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the session's secret and of the token that it was begun with.
    Column("Digest", BinaryText, primary_key=True),
    Column("TokenDigest", BinaryText, nullable=False),
    Column("ExpiresAt", UtcDateTime, nullable=False),
    Index("ix_sessions_expiry", "ExpiresAt"),
)

# How each gateway stands, by its latest heartbeat.
gateways = Table(
    "gateways",
    metadata,
    Column("Name", BinaryText, primary_key=True),
    Column("LastSeenAt", UtcDateTime, nullable=False),
    Column("Heartbeat", BinaryText, nullable=False),
    # The dead letters to be retried: since when each was dead when that was asked for, by its id.
    Column("Retries", JSON, nullable=False),
    # The name of the token that its heartbeats come with; NULL where none is needed.
    Column("Token", BinaryText),
)

# What series are found and sorted by, apart from the rows that people look at: small, so that a
# walk through it is quick. ReceivedAt never changes. Each index ends with the order of the list.
_NEWEST = ("ReceivedAt", "SeriesInstanceUID")
_LIMITS = ("ModalityKey", "GatewayKey")
series_index = Table(
    "series_index",
    metadata,
    Column("ReceivedAt", UtcDateTime, primary_key=True),
    Column("SeriesInstanceUID", BinaryText, primary_key=True),
    Column("StudyInstanceUID", BinaryText, nullable=False),
    Column("PatientKey", BinaryText, nullable=False),
    Column("NameKey", BinaryText, nullable=False),
    Column("AccessionKey", BinaryText, nullable=False),
    Column("StudyDateKey", BinaryText, nullable=False),
    Column("GatewayKey", BinaryText, nullable=False),
    Column("ModalityKey", BinaryText, nullable=False),
    Column("InstancesInSeries", Integer, nullable=False),
    # The study, or the key of the patient, whose first series this is; else NULL.
    Column("FirstOfStudy", BinaryText),
    Column("FirstOfPatient", BinaryText),
    Column("SearchText", BinaryText, nullable=False),
    # The how-manieth series this is: how the index of texts names it (see text_index).
    Column("Number", BigInteger, nullable=False, server_default="0"),
    # What stands behind is read from the index alone: the sums of a study or patient, the studies
    # of a modality, and what a list in another order is often limited to.
    Index(
        "ix_series_index_study", "StudyInstanceUID", *_NEWEST, "ModalityKey", "InstancesInSeries"
    ),
    Index("ix_series_index_patient", "PatientKey", *_NEWEST, "FirstOfStudy", "InstancesInSeries"),
    Index("ix_series_index_name", "NameKey", *_NEWEST, *_LIMITS),
    Index("ix_series_index_accession", "AccessionKey", *_NEWEST),
    Index("ix_series_index_study_date", "StudyDateKey", *_NEWEST, *_LIMITS),
    Index("ix_series_index_gateway", "GatewayKey", *_NEWEST),
    Index("ix_series_index_gateway_modality", "GatewayKey", "ModalityKey", *_NEWEST),
    Index("ix_series_index_modality", "ModalityKey", *_NEWEST, "StudyInstanceUID"),
    Index("ix_series_index_instances", "InstancesInSeries", *_NEWEST, *_LIMITS),
    Index("ix_series_index_number", "Number", unique=True),
    sqlite_with_rowid=False,
)
# Of the firsts alone: most series are none, and need no entry that says so.
for _level, _of, _first in (
    ("studies", "study", "FirstOfStudy"),
    ("patients", "patient", "FirstOfPatient"),
):
    _is_first = series_index.c[_first].is_not(None)
    for _name, _columns in ((_level, _NEWEST), (f"first_of_{_of}", (_first,))):
        Index(
            f"ix_series_index_{_name}",
            *(series_index.c[name] for name in _columns),
            unique=_columns != _NEWEST,
            sqlite_where=_is_first,
            postgresql_where=_is_first,
        )

# Every change of a row, in the order of the commits (see `sql.record`). Of a deleted series there
# is the deletion alone.
series_changes = Table(
    "series_changes",
    metadata,
    Column("Sequence", RowNumber, primary_key=True, autoincrement=False),
    Column("SeriesInstanceUID", BinaryText, nullable=False),
    # Of the report in series_reports that became the row; empty for a deletion.
    Column("Digest", BinaryText, nullable=False),
    Column("Outcome", BinaryText, nullable=False),
    Column("ChangedAt", UtcDateTime, nullable=False),
    Index("ix_series_changes_series", "SeriesInstanceUID"),
)

# The series that are not to come back, by keyed digests of their UIDs: who has a UID can ask
# whether it is one of these, and nobody can read them (see `sql.deletion`).
deleted_series = Table(
    "deleted_series",
    metadata,
    Column("Digest", BinaryText, primary_key=True),
    Column("DeletedAt", UtcDateTime, nullable=False),
)

# One row: the number of the latest change, what is stored in all, and what is forgotten.
server_totals = Table(
    "server_totals",
    metadata,
    Column("Id", Integer, primary_key=True, autoincrement=False),
    Column("Sequence", BigInteger, nullable=False),
    Column("Patients", BigInteger, nullable=False),
    Column("Studies", BigInteger, nullable=False),
    Column("Series", BigInteger, nullable=False),
    Column("Instances", BigInteger, nullable=False),
    # Changes up to this number may be gone (see `sql.forget`).
    Column("Forgotten", BigInteger, nullable=False, server_default="0"),
    # The greatest Number in the index that any series had: none is given again.
    Column("Numbers", BigInteger, nullable=False, server_default="0"),
    # What the digests of `deleted_series` are made with, in hexadecimal.
    Column("DigestKey", BinaryText, nullable=False, server_default=""),
)

# What came in each minute in which something did.
minute_counts = Table(
    "minute_counts",
    metadata,
    Column("Minute", UtcDateTime, primary_key=True),
    Column("Series", BigInteger, nullable=False),
    Column("Instances", BigInteger, nullable=False),
)

# How far in the changes the queue of a webhook is, and what is owed to it up to there.
webhook_positions = Table(
    "webhook_positions",
    metadata,
    Column("Webhook", BinaryText, primary_key=True),
    Column("Sequence", BigInteger, nullable=False),
    # When a server last had it in its settings.
    Column("SeenAt", UtcDateTime),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("Webhook", BinaryText, primary_key=True),
    Column("Sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("SeriesInstanceUID", BinaryText, nullable=False),
    Column("State", BinaryText, nullable=False),
    Column("Attempt", Integer, nullable=False),
    # When the next attempt may be made; while one is, when others may take it for lost.
    Column("DueAt", UtcDateTime, nullable=False),
    Column("Reason", BinaryText),
    Index("ix_webhook_deliveries_due", "Webhook", "State", "DueAt", "Sequence"),
    Index("ix_webhook_deliveries_series", "Webhook", "SeriesInstanceUID", "Sequence"),
)

event.listen(
    metadata, "after_create", lambda _metadata, connection, **_: create_text_index(connection)
)
