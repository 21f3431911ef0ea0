"""Deliveries: what becomes of a report on its way to the server. Every decision is a pure function.

pending -> in_flight -> delivered
              |  ^
              v  |          a failure that may pass: pending again, later each time
           pending
              |
              v
            dead            the server refused the report itself: kept for a person,
                            who makes it pending again, or discarded
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.series.report import Series


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    DEAD = "dead"
    #: A dead letter that a person has given up for good.
    DISCARDED = "discarded"


class FailureKind(StrEnum):
    """What a failed attempt says about the next one."""

    #: The server or the way to it is down, slow or busy: soon again.
    TRANSIENT = "transient"
    #: It answers, but not to us (wrong token, wrong address): a person must act. Slowly again.
    MISCONFIGURED = "misconfigured"
    #: The server understood the report and will never take it: no use in repeating it.
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class PublishFailure:
    """Why an attempt failed: one line without patient data.

    `retry_after` is the server's own wish in seconds (RFC 9110 10.2.3), if it gave one.
    """

    kind: FailureKind
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report owed to the server. `attempt` counts from 1 and is the one to be made next."""

    delivery_id: str
    report: Series
    attempt: int = 1

    @property
    def short_id(self) -> str:
        """The part of the delivery id that a log shows: it says nothing about the patient."""
        return self.delivery_id[:8]


def delivery_id_of(report: Series) -> str:
    """Return the idempotency key of a report: the same for each attempt, and after a restart."""
    identity = f"{report.SeriesInstanceUID}\n{report.Revision}\n{report.InstancesInSeries}"
    return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make the delivery a dead letter."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after a failed attempt, in seconds.

    Delays double from `first_delay` up to `max_delay`; a misconfiguration, which does not pass by
    itself, waits at least `misconfigured_delay`. The server's Retry-After is honoured up to
    `max_delay`.
    """

    first_delay: float = 0.5
    max_delay: float = 300.0
    misconfigured_delay: float = 30.0

    def after_failure(
        self, attempt: int, failure: PublishFailure, jitter: float
    ) -> RetryIn | GiveUp:
        """Decide what follows attempt number `attempt` (from 1), given a `jitter` in [0, 1).

        The jitter takes up to half of the delay away, so that many deliveries which failed together
        do not come back together. A Retry-After is never undercut.
        """
        if failure.kind is FailureKind.REJECTED:
            return GiveUp()
        # The exponent is bounded before it is used: 2.0**1024 does not exist.
        delay = min(self.first_delay * 2.0 ** min(attempt - 1, 64), self.max_delay)
        if failure.kind is FailureKind.MISCONFIGURED:
            delay = max(delay, self.misconfigured_delay)
        delay *= 1.0 - jitter / 2.0
        if failure.retry_after is not None:
            delay = max(delay, min(failure.retry_after, self.max_delay))
        return RetryIn(delay)
