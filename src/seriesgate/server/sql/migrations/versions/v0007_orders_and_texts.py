"""Numbers of series, an index of their texts, more orders to list them in; what is forgotten."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from seriesgate.server.registry.keys import indexed_text
from seriesgate.server.sql.column_types import BinaryText, UtcDateTime
from seriesgate.server.sql.text_index import add_texts, create_text_index

revision = "0007"
down_revision = "0006"

_BATCH = 1000
_NEWEST = ["ReceivedAt", "SeriesInstanceUID"]
_TEXTS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "Manufacturer",
    "Gateway",
    "Modality",
)


def upgrade() -> None:
    """Number the series that are there in the order in which they came, and enter their texts."""
    number = sa.Column("Number", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("series_index", number)
    create_text_index(op.get_bind())
    _enter_series()
    for name in ("gateway", "modality"):
        op.drop_index(f"ix_series_index_{name}", "series_index")
    for name, columns in {
        "gateway": ["GatewayKey", *_NEWEST],
        "gateway_modality": ["GatewayKey", "ModalityKey", *_NEWEST],
        "modality": ["ModalityKey", *_NEWEST, "StudyInstanceUID"],
        "instances": ["InstancesInSeries", *_NEWEST],
    }.items():
        op.create_index(f"ix_series_index_{name}", "series_index", columns)
    op.create_index("ix_series_index_number", "series_index", ["Number"], unique=True)
    forgotten = sa.Column("Forgotten", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("server_totals", forgotten)
    op.add_column("webhook_positions", sa.Column("SeenAt", UtcDateTime))
    positions = sa.table("webhook_positions", sa.column("SeenAt", UtcDateTime))
    op.execute(sa.update(positions).values(SeenAt=context.config.attributes["now"]))


def _enter_series() -> None:
    index = sa.table(
        "series_index",
        sa.column("ReceivedAt", UtcDateTime),
        sa.column("SeriesInstanceUID", BinaryText),
        sa.column("Number", sa.BigInteger),
    )
    numbered = (
        sa.update(index)
        .where(
            index.c.ReceivedAt == sa.bindparam("at"),
            index.c.SeriesInstanceUID == sa.bindparam("uid"),
        )
        .values(Number=sa.bindparam("number"))
    )
    for batch in _batches():
        op.get_bind().execute(
            numbered,
            [
                {"at": row["ReceivedAt"], "uid": row["SeriesInstanceUID"], "number": number}
                for number, row in batch.items()
            ],
        )
        texts = {number: indexed_text(row) for number, row in batch.items()}
        add_texts(op.get_bind(), texts)


def _batches() -> Iterator[dict[int, dict[str, Any]]]:
    """Give the rows by their numbers, the oldest first."""
    series_data = sa.table(
        "series_data",
        sa.column("ReceivedAt", UtcDateTime),
        sa.column("SeriesInstanceUID", BinaryText),
        *(sa.column(name, BinaryText) for name in _TEXTS),
    )
    oldest_first = sa.select(series_data).order_by(
        series_data.c.ReceivedAt, series_data.c.SeriesInstanceUID
    )
    number = 0
    for rows in op.get_bind().execute(oldest_first).mappings().partitions(_BATCH):
        yield {number + place: dict(row) for place, row in enumerate(rows, 1)}
        number += len(rows)
