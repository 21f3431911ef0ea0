"""What a server's answer to a report says about the next try. Pure."""

from __future__ import annotations

import email.utils
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.series.delivery import FailureKind, PublishFailure

if TYPE_CHECKING:
    from datetime import datetime

# Statuses that pass by themselves (RFC 9110 15.5.9, 15.6; RFC 8470 5.2; RFC 6585 4).
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
# The server does not know us, or this is not our server: nothing is wrong with the report.
_UNAUTHORIZED = frozenset({401, 403})
_SUCCESS, _REDIRECTION, _CLIENT_ERROR = 2, 3, 4
_MISCONFIGURED = _UNAUTHORIZED | frozenset({404, 405, 407, 421, 426, 501, 505, 511})


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """An answer as it came. `body` is None when it was longer than any answer can be."""

    status: int
    retry_after: str
    body: bytes | None

    def failure(self, series_instance_uid: str, now: datetime) -> PublishFailure | None:
        """Return why the report of a series has to be sent again or given up; None if neither.

        `now` is the time of day, for a Retry-After that is a date.
        """
        kind = self.status // 100  # RFC 9110 15: the first digit says what the others specify
        if kind == _SUCCESS:
            return self._objection(series_instance_uid)
        reason = f"the server answered {_named(self.status)}"
        if self.status in _TRANSIENT:
            return PublishFailure(FailureKind.TRANSIENT, reason, self._delay(now))
        if self.status in _MISCONFIGURED or kind == _REDIRECTION:
            hint = "gateway.server_token" if self.status in _UNAUTHORIZED else "gateway.server_url"
            return PublishFailure(
                FailureKind.MISCONFIGURED, f"{reason}: check {hint}", self._delay(now)
            )
        if kind == _CLIENT_ERROR:
            return PublishFailure(FailureKind.REJECTED, reason)
        return transient(reason)

    def _objection(self, series_instance_uid: str) -> PublishFailure | None:
        """A 2xx counts unless a captive portal sent it, or it is about another series."""
        if self.body is None:
            return transient("the server's answer has no end")
        head = self.body.lstrip()[:16].lower()
        if head.startswith((b"<!doctype", b"<html")):
            return transient("the server answered with a web page: is a portal in between?")
        try:
            named = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if isinstance(named, dict) and named.get("SeriesInstanceUID", series_instance_uid) != (
            series_instance_uid
        ):
            return transient("the server answered for another series")
        return None

    def _delay(self, now: datetime) -> float | None:
        """Return Retry-After in seconds: a number or a date (RFC 9110 10.2.3)."""
        value = self.retry_after
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            date = email.utils.parsedate_to_datetime(value)
            return max(0.0, (date - now).total_seconds())
        except (TypeError, ValueError):
            return None


def transient(reason: str) -> PublishFailure:
    """Return a failure that may pass by itself."""
    return PublishFailure(FailureKind.TRANSIENT, reason)


def _named(status: int) -> str:
    """Return a status with its standard name: what the peer wrote beside it is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
