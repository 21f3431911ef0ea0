"""The name of a gateway is that of a token; reports of a series that was repaired are withdrawn."""

import sqlalchemy as sa
from alembic import op

from seriesgate.server.sql.column_types import BinaryText, UtcDateTime

revision = "0022"
down_revision = "0020"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("gateways", sa.Column("Token", BinaryText))
    op.add_column("series_reports", sa.Column("WithdrawnAt", UtcDateTime))
