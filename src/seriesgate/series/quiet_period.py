"""Which quiet period suits what was seen of a sender. Pure.

Each second of it delays every series, and each pause that is longer makes a late revision: a period
is long enough once few series are late, and no longer one is worth its delay if hardly fewer are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seriesgate.series.pauses import PauseHistogram

#: The quiet periods to choose from, in seconds: all are among the bounds of a PauseHistogram.
CHOICES = (1.0, 2.0, 5.0, 10.0, 30.0, 120.0)
#: Of fewer series nothing is concluded.
ENOUGH_SERIES = 20
#: So many late revisions for each series are tolerable.
_TOLERABLE = 0.01
# A longer period is worth it if it leaves no more than this part of the late revisions.
_WORTH = 0.5


class Advice(StrEnum):
    """What to do about the quiet period."""

    #: Too few series were seen.
    TOO_FEW = "too_few"
    #: Few series are late, and with a shorter one more would be.
    KEEP = "keep"
    #: As few series would be late with a shorter one.
    SHORTER = "shorter"
    #: Fewer series would be late with a longer one.
    LONGER = "longer"
    #: Many series are late, and would be with any of `CHOICES`: the sender goes on much later.
    NO_USE = "no_use"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A quiet period in seconds, and how it compares with the present one."""

    advice: Advice
    seconds: float


@dataclass(frozen=True, slots=True)
class LateArrivals:
    """What is known of late arrivals at the quiet period of `present` seconds.

    Of `series` series, `late` revisions came late; `pauses` are all that were seen, those that made
    late revisions among them.
    """

    present: float
    series: int
    late: int
    pauses: PauseHistogram

    def late_at(self, seconds: float) -> int:
        """Return how many revisions would have come late at one of `CHOICES`.

        Of a longer period than the present one it is known exactly what it would have joined. With
        a shorter one no fewer would be late than are now.
        """
        if seconds == self.present:
            return self.late
        pauses = self.pauses.at_least(seconds)
        return min(pauses, self.late) if seconds > self.present else max(pauses, self.late)

    def recommendation(self) -> Recommendation:
        """Return which quiet period to set."""
        if self.series < ENOUGH_SERIES:
            return Recommendation(Advice.TOO_FEW, self.present)
        tolerable = _TOLERABLE * self.series
        if self.late <= tolerable:
            for choice in CHOICES:
                if choice < self.present and self.late_at(choice) <= tolerable:
                    return Recommendation(Advice.SHORTER, choice)
            return Recommendation(Advice.KEEP, self.present)
        longer = [choice for choice in CHOICES if choice > self.present]
        for choice in longer:
            if self.late_at(choice) <= tolerable:
                return Recommendation(Advice.LONGER, choice)
        # None makes it good: the shortest of those that help the most.
        best = min(longer, key=self.late_at, default=self.present)
        if self.late_at(best) <= _WORTH * self.late:
            return Recommendation(Advice.LONGER, best)
        return Recommendation(Advice.NO_USE, self.present)


def joint_recommendation(each: Iterable[Recommendation], present: float) -> Recommendation:
    """Return what suits all senders: there is one quiet period, and the slowest decides."""
    known = [one for one in each if one.advice is not Advice.TOO_FEW]
    return max(known, key=lambda one: one.seconds, default=Recommendation(Advice.TOO_FEW, present))
