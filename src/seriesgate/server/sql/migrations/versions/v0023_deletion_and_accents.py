"""Series can be deleted; texts are found however their accents are written.

Numbers of series are not given again, so the greatest is kept apart from how many there are. The
keys that series are found by are composed now (Unicode's Normalization Form C). For a million
series this takes half a minute, or two minutes where a text has to be entered anew.

Decided in ADR 57.
"""

import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Any

import sqlalchemy as sa
from alembic import op

from seriesgate.server.registry.keys import composed, indexed_text, key, search_text
from seriesgate.server.registry.query import Attribute
from seriesgate.server.sql.column_types import BinaryText, UtcDateTime
from seriesgate.server.sql.text_index import add_texts, create_text_index, drop_text_index, filling

revision = "0023"
down_revision = "0021"

_BATCH = 1000
_KEYS = {
    "PatientKey": Attribute.PATIENT_ID,
    "NameKey": Attribute.PATIENT_NAME,
    "AccessionKey": Attribute.ACCESSION_NUMBER,
    "StudyDateKey": Attribute.STUDY_DATE,
    "GatewayKey": Attribute.GATEWAY,
    "ModalityKey": Attribute.MODALITY,
}
_TEXTS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "Manufacturer",
    "Gateway",
    "Modality",
)
_TOTALS = sa.table(
    "server_totals",
    sa.column("Patients", sa.BigInteger),
    sa.column("Numbers", sa.BigInteger),
    sa.column("DigestKey", sa.Text),
)
_INDEX = sa.table(
    "series_index",
    sa.column("ReceivedAt", UtcDateTime),
    sa.column("SeriesInstanceUID", BinaryText),
    sa.column("Number", sa.BigInteger),
    sa.column("FirstOfPatient", BinaryText),
    sa.column("SearchText", BinaryText),
    *(sa.column(name, BinaryText) for name in _KEYS),
)
_DATA = sa.table(
    "series_data",
    sa.column("SeriesInstanceUID", BinaryText),
    *(sa.column(name, BinaryText) for name in _TEXTS),
)


def upgrade() -> None:
    """Make the table, the columns and the index; compose the keys."""
    op.create_table(
        "deleted_series",
        sa.Column("Digest", BinaryText, primary_key=True),
        sa.Column("DeletedAt", UtcDateTime, nullable=False),
    )
    op.create_index("ix_series_changes_series", "series_changes", ["SeriesInstanceUID"])
    for column in (
        sa.Column("Numbers", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("DigestKey", BinaryText, nullable=False, server_default=""),
    ):
        op.add_column("server_totals", column)
    last = op.get_bind().execute(sa.select(sa.func.max(_INDEX.c.Number))).scalar_one() or 0
    op.execute(sa.update(_TOTALS).values(Numbers=last, DigestKey=secrets.token_hex(32)))
    _compose(last)


def _compose(last: int) -> None:
    has_changed = False
    patients: set[str] = set()
    for row in chain.from_iterable(_batches(last)):
        if all(row[name] == composed(row[name]) for name in _TEXTS):
            continue
        has_changed = True
        keys = {column: key(attribute, row[attribute]) for column, attribute in _KEYS.items()}
        if keys["PatientKey"] != row["PatientKey"]:
            patients |= {keys["PatientKey"], row["PatientKey"]}
        changed = keys | {"SearchText": search_text(row)}
        if any(row[name] != value for name, value in changed.items()):
            op.execute(sa.update(_INDEX).where(_INDEX.c.Number == row["Number"]).values(changed))
    for patient in sorted(patients):
        _name_first_of(patient)
    if patients:
        firsts = sa.select(sa.func.count(_INDEX.c.FirstOfPatient)).scalar_subquery()
        op.execute(sa.update(_TOTALS).values(Patients=firsts))
    if has_changed:
        drop_text_index(op.get_bind())
        create_text_index(op.get_bind())
        with filling(op.get_bind()):
            for batch in _batches(last):
                add_texts(op.get_bind(), {row["Number"]: indexed_text(row) for row in batch})


def _name_first_of(patient: str) -> None:
    """Mark the series of a patient that came first, and no other one of it."""
    columns = _INDEX.c
    arrival = (columns.ReceivedAt, columns.SeriesInstanceUID)
    stale = (columns.PatientKey == patient) | (columns.FirstOfPatient == patient)
    op.execute(sa.update(_INDEX).where(stale).values(FirstOfPatient=None))
    first = sa.select(columns.Number).where(columns.PatientKey == patient).order_by(*arrival)
    number = op.get_bind().execute(first.limit(1)).scalar_one_or_none()
    if number is not None:
        op.execute(sa.update(_INDEX).where(columns.Number == number).values(FirstOfPatient=patient))


def _batches(last: int) -> Iterator[list[dict[str, Any]]]:
    """Give the texts and keys of all series, in the order of their numbers."""
    wanted = sa.select(_INDEX, *(_DATA.c[name] for name in _TEXTS)).where(
        _DATA.c.SeriesInstanceUID == _INDEX.c.SeriesInstanceUID
    )
    for first in range(1, last + 1, _BATCH):
        batch = wanted.where(_INDEX.c.Number.between(first, first + _BATCH - 1))
        rows = op.get_bind().execute(batch.order_by(_INDEX.c.Number)).mappings().all()
        if rows:
            yield [dict(row) for row in rows]
