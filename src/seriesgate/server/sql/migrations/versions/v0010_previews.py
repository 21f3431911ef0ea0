"""Pictures of series, apart from the rows that lists read; a row says whether there is one."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "series_previews",
        sa.Column("SeriesInstanceUID", BinaryText, primary_key=True),
        sa.Column("MediaType", BinaryText, nullable=False),
        sa.Column("Content", sa.LargeBinary, nullable=False),
    )
    op.add_column(
        "series_data",
        sa.Column("HasPreview", sa.Boolean, nullable=False, server_default=sa.false()),
    )
