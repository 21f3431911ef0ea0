"""The cursor of a listing: a page position as opaque text that fits in a URL.

Decided in ADR 14.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from seriesgate.server.registry.store import PagePosition

_SEPARATOR = " "  # in neither an ISO time nor a UID


def encode_cursor(position: PagePosition) -> str:
    """Give the cursor of a position: URL-safe ASCII.

    A key that is text says something of a patient, and URLs are logged: it is left out, and the
    store reads it again.
    """
    parts = [position.received_at.isoformat(), position.series_instance_uid]
    if isinstance(position.key, int):
        parts.append(str(position.key))
    text = _SEPARATOR.join(parts)
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def decode_cursor(cursor: str) -> PagePosition:
    """Give the position of a cursor. ValueError for what `encode_cursor` can't have given."""
    padding = "=" * (-len(cursor) % 4)
    try:
        text = base64.b64decode(cursor + padding, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ValueError("not a cursor of this server") from None
    try:
        time, series_instance_uid, *keys = text.split(_SEPARATOR)
        position = PagePosition(datetime.fromisoformat(time), series_instance_uid, *map(int, keys))
    except (TypeError, ValueError):
        raise ValueError("not a cursor of this server") from None
    is_ours = series_instance_uid.isprintable()  # some databases refuse NUL even as a question
    if position.received_at.tzinfo is None or not is_ours or encode_cursor(position) != cursor:
        raise ValueError("not a cursor of this server")
    return position
