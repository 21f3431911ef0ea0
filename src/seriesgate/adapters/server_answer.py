"""What a server's answer to a report says about the next try. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seriesgate.series.delivery import FailureKind, PublishFailure
from seriesgate.series.http_answer import NoAnswer, answer_in, failure_of
from seriesgate.series.report import Series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

IN_ITS_PLACE = "something answers in the server's place: is a portal or a proxy in between?"
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
        if failure.kind is FailureKind.REJECTED and (fields := self._refused_fields()):
            return replace(failure, reason=f"{failure.reason}: it does not accept {fields}")
        return failure

    def _refused_fields(self) -> str:
        """Return the fields of the report that a refusal is about, by its own list of errors.

        Of a foreign text nothing is repeated but names that are the report's: the rest may be
        patient data.
        """
        named = set(_named_by_errors(self._json()))
        return ", ".join(name for name in Series.model_fields if name in named)

    def _objection(self, series_instance_uid: str) -> PublishFailure | None:
        """A 2xx counts if it is empty, or JSON that is not about another series."""
        if self.body is None:
            return transient("the server's answer has no end")
        try:
            named = answer_in(self.body)
        except NoAnswer:
            return transient(IN_ITS_PLACE)
        if isinstance(named, dict) and named.get("SeriesInstanceUID", series_instance_uid) != (
            series_instance_uid
        ):
            return transient("the server answered for another series")
        return None

    def _json(self) -> Any:
        """Return what the body says in JSON; None if it is none."""
        try:
            return answer_in(self.body or b"")
        except NoAnswer:
            return None


def _named_by_errors(problem: Any) -> Iterator[str]:
    """Yield what our server's `errors`, and FastAPI's own `detail`, name."""
    if not isinstance(problem, dict):
        return
    for key, of_error in (("errors", "field"), ("detail", "loc")):
        errors = problem.get(key)
        for error in errors if isinstance(errors, list) else ():
            place = error.get(of_error) if isinstance(error, dict) else None
            yield from (str(part) for part in (place if isinstance(place, list) else [place]))


def transient(reason: str) -> PublishFailure:
    """Return a failure that may pass by itself."""
    return PublishFailure(FailureKind.TRANSIENT, reason)
