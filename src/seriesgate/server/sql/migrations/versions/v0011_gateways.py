"""How each gateway stands, by its latest heartbeat."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gateways",
        sa.Column("Name", BinaryText, primary_key=True),
        sa.Column("LastSeenAt", UtcDateTime, nullable=False),
        sa.Column("Heartbeat", BinaryText, nullable=False),
        sa.Column("Retries", sa.JSON, nullable=False),
    )
