"""The tables, as they are after the last migration."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, Table

from seriesgate.server.column_types import BinaryText, UtcDateTime

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
    Column("ReceivedAt", UtcDateTime, nullable=False),
    Column("UpdatedAt", UtcDateTime, nullable=False),
    Index("ix_series_data_newest", "ReceivedAt", "SeriesInstanceUID"),
    Index("ix_series_data_study", "StudyInstanceUID"),
    Index("ix_series_data_patient", "PatientID"),
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
