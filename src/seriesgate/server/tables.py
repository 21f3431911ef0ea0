"""The tables, as they are after the last migration."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, Table, Text

from seriesgate.server.column_types import UtcDateTime

metadata = MetaData()

series_data = Table(
    "series_data",
    metadata,
    Column("SeriesInstanceUID", Text, primary_key=True),
    Column("PatientName", Text, nullable=False),
    Column("PatientID", Text, nullable=False),
    Column("StudyInstanceUID", Text, nullable=False),
    Column("InstancesInSeries", Integer, nullable=False),
    Column("Revision", Integer, nullable=False),
    Column("AddedInstances", Integer),
    Column("Modality", Text, nullable=False),
    Column("SeriesNumber", Integer),
    Column("SeriesDescription", Text, nullable=False),
    Column("BodyPartExamined", Text, nullable=False),
    Column("StudyDate", Text, nullable=False),
    Column("StudyDescription", Text, nullable=False),
    Column("AccessionNumber", Text, nullable=False),
    Column("Manufacturer", Text, nullable=False),
    Column("CallingAETitle", Text, nullable=False),
    Column("Gateway", Text, nullable=False),
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
    Column("SeriesInstanceUID", Text, primary_key=True),
    # SHA-256 of Report: equal reports of a series are one entry.
    Column("Digest", Text, primary_key=True),
    Column("ReceivedAt", UtcDateTime, nullable=False),
    Column("IdempotencyKey", Text),
    Column("Report", Text, nullable=False),
)
