"""Tokens, of which only the digest is kept."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tokens",
        sa.Column("Name", BinaryText, primary_key=True),
        sa.Column("Digest", BinaryText, nullable=False, unique=True),
        sa.Column("Scopes", sa.JSON, nullable=False),
        sa.Column("CreatedAt", UtcDateTime, nullable=False),
        sa.Column("RevokedAt", UtcDateTime),
    )
