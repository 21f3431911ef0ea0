"""What the answer to an HTTP delivery says about the next attempt. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn

from seriesgate.series.delivery import FailureKind, PublishFailure

# An IMF-fixdate has 29 characters (RFC 9110 5.6.7), the obsolete forms up to 33.
_LONGEST_DATE = 64
# Thirty years in seconds.
_MOST_DIGITS = 9

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
    """Return Retry-After in seconds: a number, or a date (RFC 9110 10.2.3); or None."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after) if len(retry_after) <= _MOST_DIGITS else None
    date = http_date(retry_after)
    return None if date is None else max(0.0, (date - now).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the time that a header names (RFC 9110 5.6.7), aware; None if it names none."""
    if len(text) > _LONGEST_DATE:
        return None
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


class NoAnswer(ValueError):
    """A body is neither empty nor JSON: whoever sent it is not a server that takes reports."""


def answer_in(body: bytes) -> Any:
    """Return what the body of an answer says in JSON (RFC 8259); None if it is empty.

    Raises NoAnswer for anything else: a web page in every disguise, plain text, JSON that is cut
    off, or in another encoding than UTF-8, or with a byte order mark.
    """
    if not body.strip(b" \t\r\n"):
        return None
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NoAnswer from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _named(status: int) -> str:
    """Give a status with its standard name: what the peer wrote beside it is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
