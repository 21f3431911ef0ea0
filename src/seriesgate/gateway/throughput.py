"""How much is received a second, over the latest while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Throughput:
    """Means a second, over the latest `seconds`."""

    seconds: float
    instances: float
    bytes: float


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    instances: int
    bytes: int


class ThroughputMeter:
    """Keeps samples of running totals for `window` seconds. `now` is a monotonic time."""

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self._samples: deque[_Sample] = deque()

    def sample(self, now: float, instances: int, size: int) -> None:
        """Take the totals as they are now."""
        self._samples.append(_Sample(now, instances, size))
        # One that is older than the window stays: the mean is over all of it.
        while len(self._samples) > 1 and self._samples[1].at <= now - self._window:
            self._samples.popleft()

    def read(self, now: float, instances: int, size: int) -> Throughput:
        """Return the means from the oldest sample to the totals as they are now."""
        if not self._samples or now <= self._samples[0].at:
            return Throughput(0.0, 0.0, 0.0)
        oldest = self._samples[0]
        seconds = now - oldest.at
        return Throughput(
            seconds, (instances - oldest.instances) / seconds, (size - oldest.bytes) / seconds
        )
