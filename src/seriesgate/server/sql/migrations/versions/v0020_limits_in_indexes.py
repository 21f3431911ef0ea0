"""The indexes know which series of a text, or of an order, a gateway or modality has as well.

That takes a minute or two for a million series.

Decided in ADR 27.
"""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.registry.keys import indexed_text
from seriesgate.server.sql.column_types import BinaryText, UtcDateTime
from seriesgate.server.sql.text_index import add_texts, create_text_index, drop_text_index, filling

revision = "0020"
down_revision = "0012"

_BATCH = 1000
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
    """Make the indexes anew."""
    for name, column in (
        ("name", "NameKey"),
        ("study_date", "StudyDateKey"),
        ("instances", "InstancesInSeries"),
    ):
        op.drop_index(f"ix_series_index_{name}", "series_index")
        columns = [column, "ReceivedAt", "SeriesInstanceUID", "ModalityKey", "GatewayKey"]
        op.create_index(f"ix_series_index_{name}", "series_index", columns)
    drop_text_index(op.get_bind())
    create_text_index(op.get_bind())
    with filling(op.get_bind()):
        _enter_series()


def _enter_series() -> None:
    index = sa.table(
        "series_index",
        sa.column("ReceivedAt", UtcDateTime),
        sa.column("SeriesInstanceUID", BinaryText),
        sa.column("Number", sa.BigInteger),
    )
    series_data = sa.table(
        "series_data",
        sa.column("SeriesInstanceUID", BinaryText),
        *(sa.column(name, BinaryText) for name in _TEXTS),
    )
    numbered = sa.select(index.c.Number, *(series_data.c[name] for name in _TEXTS)).where(
        series_data.c.SeriesInstanceUID == index.c.SeriesInstanceUID
    )
    last = op.get_bind().execute(sa.select(sa.func.max(index.c.Number))).scalar_one() or 0
    for first in range(1, last + 1, _BATCH):
        batch = numbered.where(index.c.Number.between(first, first + _BATCH - 1))
        rows = op.get_bind().execute(batch).mappings().all()
        add_texts(op.get_bind(), {row["Number"]: indexed_text(dict(row)) for row in rows})
