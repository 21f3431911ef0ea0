"""Pauses within series: how often each quiet period would close one too early.

A pause is the time in which nothing of a series was stored and nothing of it was under way, before
something came again: what the quiet period is compared with. One that is as long as the quiet
period makes a late revision.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

#: The pauses that are told apart, in seconds: each class begins with one, and ends before the next.
BOUNDS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
#: Shorter ones are within the transfer of any series, and not counted.
SHORTEST = BOUNDS[0]


@dataclass(slots=True)
class PauseHistogram:
    """How many pauses fell into each class of `BOUNDS`; the last one has no end."""

    counts: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))

    def __post_init__(self) -> None:
        """Raise ValueError for counts of other classes."""
        if len(self.counts) != len(BOUNDS):
            raise ValueError(f"a histogram of pauses has {len(BOUNDS)} classes")

    def add(self, seconds: float) -> None:
        """Count a pause, unless it is shorter than `SHORTEST`."""
        index = bisect_right(BOUNDS, seconds) - 1
        if index >= 0:
            self.counts[index] += 1

    def merge(self, other: PauseHistogram) -> None:
        """Count all pauses of another one too."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]

    def at_least(self, seconds: float) -> int:
        """Return how many pauses were so long or longer; `seconds` is one of `BOUNDS`."""
        return sum(self.counts[BOUNDS.index(seconds) :])
