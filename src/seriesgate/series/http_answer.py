"""What the answer to an HTTP delivery says about the next attempt. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.series.delivery import FailureKind, PublishFailure

if TYPE_CHECKING:
    from datetime import datetime

# Statuses that pass by themselves (RFC 9110 15.5.9, 15.6; RFC 8470 5.2; RFC 6585 4).
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
# The receiver does not know us, or this is not our receiver: nothing is wrong with what we sent.
_MISCONFIGURED = frozenset({401, 403, 404, 405, 407, 421, 426, 501, 505, 511})


def failure_of(
    status: int, retry_after: str, now: datetime, *, peer: str = "the receiver"
) -> PublishFailure | None:
    """Judge an answer by its status and its Retry-After header; None for success.

    `now` is the time of day, for a Retry-After that is a date; `peer` is who answered.

    A redirect is not followed: it would take patient data to an address that nobody has set.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return None
    reason = f"{peer} answered {_named(status)}"
    if status in _MISCONFIGURED or 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        kind = FailureKind.MISCONFIGURED
    elif 400 <= status < 500 and status not in _TRANSIENT:  # noqa: PLR2004 - of refusals
        kind = FailureKind.REJECTED
    else:
        kind = FailureKind.TRANSIENT
    return PublishFailure(kind, reason, _seconds(retry_after, now))


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Give Retry-After in seconds: a number or a date (RFC 9110 10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _named(status: int) -> str:
    """Give a status with its standard name: what the peer wrote beside it is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
