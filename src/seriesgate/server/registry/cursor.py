"""The cursor of a listing: a page position as opaque text that fits in a URL.

Decided in ADR 14.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta

from seriesgate.server.registry.store import PagePosition

_SEPARATOR = "\n"  # in neither an ISO time nor a UID
LONGEST = 1024
"""How long a cursor may be: a UID of 128 characters of any script, a time and a number are less."""
_KEY = re.compile(r"0|-?[1-9][0-9]{0,17}")  # 64 bits hold it
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
    if len(cursor) > LONGEST:
        raise ValueError("not a cursor of this server")
    padding = "=" * (-len(cursor) % 4)
    try:
        text = base64.b64decode(cursor + padding, altchars=b"-_", validate=True).decode()
        time, series_instance_uid, *keys = text.split(_SEPARATOR)
        position = PagePosition(
            datetime.fromisoformat(time), series_instance_uid, *map(_number, keys)
        )
    except (TypeError, ValueError):
        raise ValueError("not a cursor of this server") from None
    # UTC alone: another offset could lead out of the years that there are.
    is_utc = position.received_at.utcoffset() == timedelta(0)
    is_uid = not _CONTROL.search(series_instance_uid)  # NUL is too much for some databases
    if not is_utc or not is_uid or encode_cursor(position) != cursor:
        raise ValueError("not a cursor of this server")
    return position


def _number(text: str) -> int:
    if not _KEY.fullmatch(text):
        raise ValueError
    return int(text)
