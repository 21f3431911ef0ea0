"""The one table of the original plan."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table as the original plan's server made it."""
    op.create_table(
        "series_data",
        sa.Column("SeriesInstanceUID", sa.Text, primary_key=True),
        sa.Column("PatientName", sa.Text),
        sa.Column("PatientID", sa.Integer),
        sa.Column("StudyInstanceUID", sa.Text),
        sa.Column("InstancesInSeries", sa.Integer),
    )
