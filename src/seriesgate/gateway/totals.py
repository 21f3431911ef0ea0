"""What the gateway has done since it started, in numbers; for metrics and `seriesgate status`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.series.delivery import FailureKind

#: Upper bounds of the classes of a Histogram, in seconds; there is one more class without bound.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


@dataclass(slots=True)
class Histogram:
    """How many durations fell into each class of `BOUNDS`, and their sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration; one that a clock which was set back made negative is none."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class GatewayTotals:
    """Running totals. Each is written by one owner only, which guards it if it has threads."""

    #: Instances that were new, came again with the same content, or were refused, and why.
    instances_stored: int = 0
    instances_repeated: int = 0
    instances_out_of_resources: int = 0
    instances_not_understood: int = 0
    #: Bytes of the data sets that were stored or came again.
    bytes_received: int = 0
    #: Closings that made a revision, and those among them that followed an earlier one.
    series_closed: int = 0
    series_reopened: int = 0
    #: Closings that brought nothing new.
    series_repeated: int = 0
    #: Instances that an earlier revision of their series did not have yet.
    instances_late: int = 0
    #: Closings with gaps between their Instance Numbers.
    series_with_gaps: int = 0
    #: New instances that name another study or patient than most of their series.
    instances_inconsistent: int = 0
    #: Copies of instances that contradict another copy, and those that were found damaged.
    instances_conflicting: int = 0
    instances_damaged: int = 0
    #: Series whose picture the server has; those that have none or whose picture it did not take;
    #: those left out because others came faster than pictures could be made.
    previews_made: int = 0
    previews_failed: int = 0
    previews_dropped: int = 0
    #: Attempts to deliver: those that succeeded, and those that failed, by kind.
    attempts_delivered: int = 0
    attempts_failed: Counter[FailureKind] = field(default_factory=Counter)
    #: How long attempts took, and from the close of a series to its delivery.
    attempt_seconds: Histogram = field(default_factory=Histogram)
    delivery_seconds: Histogram = field(default_factory=Histogram)

    def copy(self) -> GatewayTotals:
        """Return the totals as they are now."""
        return replace(
            self,
            attempts_failed=self.attempts_failed.copy(),
            attempt_seconds=_copy(self.attempt_seconds),
            delivery_seconds=_copy(self.delivery_seconds),
        )


def _copy(histogram: Histogram) -> Histogram:
    return Histogram([*histogram.counts], histogram.sum)
