"""What is a UID (PS3.5 9.1), and how one that is none goes into a path. Pure.

Sites have objects whose UIDs are none. They are kept as they are, and named.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_LONGEST = 64


def is_uid(text: str) -> bool:
    """Return whether text is a UID: numbers without leading zeros, and dots between them."""
    return len(text) <= _LONGEST and _UID.fullmatch(text) is not None


def as_path_segment(text: str) -> str:
    """Give text as one segment of a path, percent-encoded (RFC 3986 3.3).

    Clients take `.` and `..` for steps, also encoded. A blank behind them, which means nothing at
    the end of a UID, keeps them from it.
    """
    return quote(text, safe="") + ("%20" if text in {".", ".."} else "")
