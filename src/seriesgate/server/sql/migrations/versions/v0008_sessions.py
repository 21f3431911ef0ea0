"""Sessions of browsers, of which only the digest is kept."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sessions",
        sa.Column("Digest", BinaryText, primary_key=True),
        sa.Column("TokenDigest", BinaryText, nullable=False),
        sa.Column("ExpiresAt", UtcDateTime, nullable=False),
    )
    op.create_index("ix_sessions_expiry", "sessions", ["ExpiresAt"])
