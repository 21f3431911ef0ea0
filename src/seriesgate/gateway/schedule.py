"""When each delivery is tried next: one lane per series, so that its revisions go out in order."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.gateway.ports import Owed


@dataclass(slots=True)
class DeliverySchedule:
    """The deliveries that are owed. Pure: times are monotonic seconds, given by the caller.

    Only the first delivery of a lane is ever due; a lane whose delivery is being tried is not in
    the queue, so a slow or dead series holds up no other.
    """

    _lanes: dict[str, deque[Owed]] = field(default_factory=dict)
    _queue: list[tuple[float, int, str]] = field(default_factory=list)
    _serial: int = 0

    def add(self, owed: Owed, now: float) -> None:
        """Take a delivery, due at once unless another revision of its series is owed.

        One that is here already is not taken twice.
        """
        uid = owed.series_instance_uid
        lane = self._lanes.setdefault(uid, deque())
        if owed in lane:
            return
        lane.append(owed)
        if len(lane) == 1:
            self._enqueue(uid, now)

    def next_due(self) -> float | None:
        """Return when the next delivery is due, or None while none is waiting."""
        return self._queue[0][0] if self._queue else None

    def due_times(self) -> dict[str, float]:
        """Return when each delivery that waits is due: of each series the first, by its id."""
        return {self._lanes[uid][0].delivery_id: due for due, _, uid in self._queue}

    def take_due(self, now: float) -> Owed | None:
        """Return the delivery that has been due the longest, or None. It is then being tried."""
        if not self._queue or self._queue[0][0] > now:
            return None
        return self._lanes[heapq.heappop(self._queue)[2]][0]

    def retry(self, owed: Owed, at: float) -> None:
        """Put a delivery that was being tried back until the time `at`."""
        self._enqueue(owed.series_instance_uid, at)

    def put_back(self, owed: Owed, at: float) -> None:
        """Have a delivery whose attempt came to no end tried at `at`, if it is still owed."""
        lane = self._lanes.get(owed.series_instance_uid)
        if lane and lane[0] == owed:
            self._enqueue(owed.series_instance_uid, at)

    def remove(self, owed: Owed, now: float) -> None:
        """Forget a delivery that was being tried; the next revision of its series is due now."""
        uid = owed.series_instance_uid
        lane = self._lanes[uid]
        lane.popleft()
        if lane:
            self._enqueue(uid, now)
        else:
            del self._lanes[uid]

    def _enqueue(self, uid: str, due: float) -> None:
        self._serial += 1  # first come, first served among those due at the same time
        heapq.heappush(self._queue, (due, self._serial, uid))
