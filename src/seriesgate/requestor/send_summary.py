"""What became of the instances that were to be sent."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
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


# Of each kind of outcome so many instances are named; so many comments are told apart.
_MOST_NAMED = 5
_MOST_COMMENTS = 100
_LONGEST_COMMENT = 128
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many instances ended in the same way: with a C-STORE status, or (None) without one.

    `comment` is what the peer says of it (Error Comment, PS3.7 C.1.2); `instances` names the first
    of them.
    """

    status: int | None
    meaning: str
    count: int
    comment: str = ""
    instances: tuple[str, ...] = ()


class _Outcomes:
    """Counts what ended in the same way. Bounded, whatever a peer says."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int | None, str, str]] = Counter()
        self._instances: defaultdict[tuple[int | None, str, str], list[str]] = defaultdict(list)

    def add(
        self,
        status: int | None,
        meaning: str,
        comment: str = "",
        instance: str = "",
        count: int = 1,
    ) -> None:
        key = status, meaning, _shown(comment, _LONGEST_COMMENT)
        if key not in self._counts and len(self._counts) >= _MOST_COMMENTS:
            key = status, meaning, ""
        self._counts[key] += count
        if instance and len(self._instances[key]) < _MOST_NAMED:
            self._instances[key].append(_shown(instance, _LONGEST_NAME))

    def __call__(self) -> tuple[Outcome, ...]:
        """Return them, the most frequent first."""
        return tuple(
            Outcome(
                status, meaning, count, comment, tuple(self._instances[status, meaning, comment])
            )
            for (status, meaning, comment), count in self._counts.most_common()
        )


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
        self._warnings = _Outcomes()
        self._refused = _Outcomes()
        self._failed = _Outcomes()

    def answered(self, instance: str, status: int, size: int, comment: str = "") -> None:
        """Count one instance that the peer answered for (PS3.4 Table B.2-1, PS3.7 Annex C)."""
        category = code_to_category(status)
        is_stored = category in {STATUS_SUCCESS, STATUS_WARNING}
        with self._lock:
            if is_stored:
                self._sent += 1
                self._size += size
            if category == STATUS_WARNING:
                self._warnings.add(status, _meaning(status), comment, instance)
            elif not is_stored:
                self._refused.add(status, _meaning(status), comment, instance)
            self._settled(size if is_stored else 0)

    def context_refused(self, instance: str, context: StorageContext, reason: str) -> None:
        """Count one instance whose presentation context the peer did not accept."""
        sop_class, transfer_syntax = (UID(uid).name for uid in context)
        with self._lock:
            meaning = f"{sop_class}, {transfer_syntax}: {reason}"
            self._refused.add(None, meaning, instance=instance)
            self._settled(0)

    def failed(self, reason: str, count: int = 1, instance: str = "") -> None:
        """Count instances for which no answer came; `instance` names one that `reason` does not."""
        with self._lock:
            self._failed.add(None, reason, instance=instance, count=count)
            for _ in range(count):
                self._settled(0)

    def summary(self, *, unsent: int, seconds: float, interrupted: bool) -> SendSummary:
        """Return the count so far."""
        with self._lock:
            return SendSummary(
                sent=self._sent,
                size=self._size,
                warnings=self._warnings(),
                refused=self._refused(),
                failed=self._failed(),
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


def _shown(text: str, longest: int) -> str:
    """Return a text that can be shown on one line, whoever wrote it."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in text[: longest + 1])
    return line if len(line) <= longest else line[:longest] + "…"
