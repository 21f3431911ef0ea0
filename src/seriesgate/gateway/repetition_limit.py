"""A limit for log lines that strangers can cause as often as they like."""

from __future__ import annotations

from dataclasses import dataclass

_OTHERS = "others"


@dataclass(slots=True)
class _Kind:
    since: float
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Repetitions:
    """How often something was repeated, in how many seconds, without a line of its own."""

    kind: str
    count: int
    seconds: float


class RepetitionLimit:
    """Tells the first of a kind, to be logged, from those that follow, to be summed up.

    `now` is a monotonic time in seconds. At most `max_kinds` kinds are told apart; the rest is one
    more. It is not thread-safe; its owner guards it.
    """

    def __init__(self, period: float = 60.0, max_kinds: int = 256) -> None:
        self._period = period
        self._max_kinds = max_kinds
        self._kinds: dict[str, _Kind] = {}

    def is_first(self, kind: str, now: float) -> bool:
        """Return whether this is to be logged; if not, it is counted."""
        if kind not in self._kinds and len(self._kinds) >= self._max_kinds:
            kind = _OTHERS
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = _Kind(now)
            return True
        known.suppressed += 1
        return False

    def take_due(self, now: float) -> list[Repetitions]:
        """Return what was counted for a period or longer; a kind that was not repeated is over."""
        due = []
        for kind, known in list(self._kinds.items()):
            seconds = now - known.since
            if seconds < self._period:
                continue
            if known.suppressed:
                due.append(Repetitions(kind, known.suppressed, seconds))
                self._kinds[kind] = _Kind(now)
            else:
                del self._kinds[kind]
        return due
