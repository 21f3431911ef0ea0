"""The SQL that keeps and gives the pictures of series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from seriesgate.server.registry.preview import Preview
from seriesgate.server.sql.tables import series_data, series_previews

if TYPE_CHECKING:
    from sqlalchemy import Connection


def write_preview(connection: Connection, series_instance_uid: str, preview: Preview) -> bool:
    """Keep a picture in place of the one before; False, and nothing kept, without its series."""
    row = series_data.c.SeriesInstanceUID == series_instance_uid
    # First, for it locks the row: of two pictures of a series, one waits for the other here.
    found = connection.execute(update(series_data).where(row).values(HasPreview=True))
    if found.rowcount == 0:
        return False
    columns = series_previews.c
    connection.execute(
        delete(series_previews).where(columns.SeriesInstanceUID == series_instance_uid)
    )
    connection.execute(
        insert(series_previews).values(
            SeriesInstanceUID=series_instance_uid,
            MediaType=preview.media_type,
            Content=preview.content,
        )
    )
    return True


def read_preview(connection: Connection, series_instance_uid: str) -> Preview | None:
    """Give the picture of a series, or None."""
    columns = series_previews.c
    statement = select(columns.MediaType, columns.Content).where(
        columns.SeriesInstanceUID == series_instance_uid
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else Preview(row.MediaType, row.Content)
