"""What became of the instances that were to be sent."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom.status import (
    STATUS_SUCCESS,
    STATUS_WARNING,
    STORAGE_SERVICE_CLASS_STATUS,
    code_to_category,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.requestor.outgoing_instance import StorageContext


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many instances ended in the same way: with a C-STORE status, or (None) without one."""

    status: int | None
    meaning: str
    count: int


@dataclass(frozen=True, slots=True)
class SendSummary:
    """What became of every instance: `sent`, in `refused`, in `failed`, or `unsent` (interrupted).

    `sent` counts what the peer stored, with the warnings among it (statuses Bxxx); `size` is the
    bytes of those data sets. `refused` has what the peer did not want: a failure status, or a
    presentation context it did not accept. `failed` has what no answer came for.
    """

    sent: int
    size: int
    warnings: tuple[Outcome, ...]
    refused: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]
    unsent: int
    seconds: float
    interrupted: bool

    @property
    def instances_per_second(self) -> float:
        """The pace at which instances were stored."""
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the peer stored everything."""
        return not (self.refused or self.failed or self.unsent)


class SendTally:
    """Counts instances as they are settled. Safe for several threads.

    `on_progress` is called once for each, in turn, with the bytes that were stored: 0 if none.
    """

    def __init__(self, on_progress: Callable[[int], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._on_progress = on_progress
        self._sent = 0
        self._size = 0
        self._warnings: Counter[tuple[int | None, str]] = Counter()
        self._refused: Counter[tuple[int | None, str]] = Counter()
        self._failed: Counter[tuple[int | None, str]] = Counter()

    def answered(self, status: int, size: int) -> None:
        """Count one instance that the peer answered for (PS3.4 Table B.2-1, PS3.7 Annex C)."""
        category = code_to_category(status)
        is_stored = category in {STATUS_SUCCESS, STATUS_WARNING}
        with self._lock:
            if is_stored:
                self._sent += 1
                self._size += size
            if category == STATUS_WARNING:
                self._warnings[status, _meaning(status)] += 1
            elif not is_stored:
                self._refused[status, _meaning(status)] += 1
            self._settled(size if is_stored else 0)

    def context_refused(self, context: StorageContext, reason: str) -> None:
        """Count one instance whose presentation context the peer did not accept."""
        sop_class, transfer_syntax = (UID(uid).name for uid in context)
        with self._lock:
            self._refused[None, f"{sop_class}, {transfer_syntax}: {reason}"] += 1
            self._settled(0)

    def failed(self, reason: str, count: int = 1) -> None:
        """Count instances for which no answer came."""
        with self._lock:
            self._failed[None, reason] += count
            for _ in range(count):
                self._settled(0)

    def summary(self, *, unsent: int, seconds: float, interrupted: bool) -> SendSummary:
        """Return the count so far."""
        with self._lock:
            return SendSummary(
                sent=self._sent,
                size=self._size,
                warnings=_outcomes(self._warnings),
                refused=_outcomes(self._refused),
                failed=_outcomes(self._failed),
                unsent=unsent,
                seconds=seconds,
                interrupted=interrupted,
            )

    def _settled(self, size: int) -> None:
        if self._on_progress:
            self._on_progress(size)


def _meaning(status: int) -> str:
    _, meaning = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", "unknown status"))
    return meaning


def _outcomes(counts: Counter[tuple[int | None, str]]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(status, meaning, count) for (status, meaning), count in counts.most_common()
    )
