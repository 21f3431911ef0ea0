"""The queue of webhooks."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhook_positions",
        sa.Column("Webhook", BinaryText, primary_key=True),
        sa.Column("Sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("Webhook", BinaryText, primary_key=True),
        sa.Column("Sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("SeriesInstanceUID", BinaryText, nullable=False),
        sa.Column("State", BinaryText, nullable=False),
        sa.Column("Attempt", sa.Integer, nullable=False),
        sa.Column("DueAt", UtcDateTime, nullable=False),
        sa.Column("Reason", BinaryText),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["Webhook", "State", "DueAt", "Sequence"],
    )
    op.create_index(
        "ix_webhook_deliveries_series",
        "webhook_deliveries",
        ["Webhook", "SeriesInstanceUID", "Sequence"],
    )
