"""A row names the instances of another study or patient than most of its series."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0022"


def upgrade() -> None:
    """Make the columns."""
    op.add_column(
        "series_data",
        sa.Column("InconsistentInstances", sa.JSON, nullable=False, server_default="[]"),
    )
    op.add_column(
        "series_data",
        sa.Column("InconsistentInstanceCount", sa.Integer, nullable=False, server_default="0"),
    )
