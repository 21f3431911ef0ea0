"""The indexes that find the first series of a study or patient have entries of these alone."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make them anew."""
    for of, column in (("study", "FirstOfStudy"), ("patient", "FirstOfPatient")):
        name = f"ix_series_index_first_of_{of}"
        is_first = sa.column(column).is_not(None)
        op.drop_index(name, "series_index")
        op.create_index(
            name,
            "series_index",
            [column],
            unique=True,
            sqlite_where=is_first,
            postgresql_where=is_first,
        )
