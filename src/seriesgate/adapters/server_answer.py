"""What a server's answer to a report says about the next try. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seriesgate.series.delivery import FailureKind, PublishFailure
from seriesgate.series.http_answer import failure_of

if TYPE_CHECKING:
    from datetime import datetime

_UNAUTHORIZED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """An answer as it came. `body` is None when it was longer than any answer can be."""

    status: int
    retry_after: str
    body: bytes | None

    @property
    def setting_to_check(self) -> str:
        """The setting that is wrong if an answer like this one is not what was expected."""
        return "gateway.server_token" if self.status in _UNAUTHORIZED else "gateway.server_url"

    def failure(self, series_instance_uid: str, now: datetime) -> PublishFailure | None:
        """Return why the report of a series has to be sent again or given up; None if neither.

        `now` is the time of day, for a Retry-After that is a date.
        """
        failure = failure_of(self.status, self.retry_after, now, peer="the server")
        if failure is None:
            return self._objection(series_instance_uid)
        if failure.kind is FailureKind.MISCONFIGURED:
            return replace(failure, reason=f"{failure.reason}: check {self.setting_to_check}")
        return failure

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


def transient(reason: str) -> PublishFailure:
    """Return a failure that may pass by itself."""
    return PublishFailure(FailureKind.TRANSIENT, reason)
