"""Bulkheads: what goes wrong in one unit of a task's work is that unit's failure alone.

A unit is one series that closes, one delivery, one picture, and so on. Whatever unexpected is
raised in it is contained: the unit is put aside, the program goes on. What is put aside is kept,
counted and shown, and can be tried again.

Decided in ADR 50.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained
from seriesgate.gateway.ports import JournalFailed, JournalFull, SpoolUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seriesgate.gateway.ports import Clock

_log = logging.getLogger(__name__)

#: Each task knows what to do about these.
EXPECTED = (JournalFailed, JournalFull, SpoolUnavailable)
# What a log line shows of an id, and the least that a command takes.
_SHORT = 8


class NoSuchUnit(Exception):
    """Nothing that is put aside has this id, or several have ids that begin like this."""


@dataclass(frozen=True, slots=True)
class UnitAside:
    """A unit of work that is put aside. `reason` is one line without patient data.

    `times` says how often it was, since the program started.
    """

    unit_id: str
    task: str
    reason: str
    since: datetime
    times: int = 1


class Bulkheads:
    """What is put aside by all tasks of a program. For the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._aside: dict[str, UnitAside] = {}
        self._again: dict[str, Callable[[], None]] = {}
        self._totals: Counter[str] = Counter()

    @contextmanager
    def unit(self, task: str, name: str, again: Callable[[], None] | None = None) -> Iterator[Unit]:
        """Run one unit of a task's work, and put it aside if something unexpected is raised.

        `name` tells it from the others of the task, and is not shown. `again` has it tried again;
        without it, the task does that by itself. What is expected of the journal and the spool goes
        through, and so does a cancellation.
        """
        unit = Unit()
        with contained(unit, EXPECTED):
            yield unit
        if unit.failure:
            self.put_aside(task, name, unit.failure, again)
        elif self._aside:
            self._forget(unit_id_of(task, name))

    def put_aside(
        self, task: str, name: str, reason: str, again: Callable[[], None] | None = None
    ) -> None:
        """Put a unit aside that did not, or must not, come to its end."""
        unit_id = unit_id_of(task, name)
        known = self._aside.get(unit_id)
        times = 1 if known is None else known.times + 1
        since = self._clock.utcnow() if known is None else known.since
        self._aside[unit_id] = UnitAside(unit_id, task, reason, since, times)
        self._totals[task] += 1
        if again is None:
            if known is None:
                _log.error("%s failed and is tried again: %s", task, reason)
            return
        self._again[unit_id] = again
        short = unit_id[:_SHORT]
        _log.error(
            "%s %s is put aside until `seriesgate aside retry %s`: %s", task, short, short, reason
        )

    def aside(self) -> Sequence[UnitAside]:
        """Return what is put aside now, the oldest first."""
        return tuple(self._aside.values())

    def totals(self) -> Mapping[str, int]:
        """Return how often each task has put something aside."""
        return dict(self._totals)

    def retry(self, beginning: str) -> str:
        """Have a unit tried again, by its id or the beginning of it; return the id.

        Raises NoSuchUnit.
        """
        found = [unit_id for unit_id in self._again if unit_id.startswith(beginning)]
        if len(beginning) < _SHORT or len(found) != 1:
            raise NoSuchUnit
        self._retry(found[0])
        return found[0]

    def retry_all(self) -> int:
        """Have everything tried again that is put aside; return how much."""
        units = list(self._again)
        for unit_id in units:
            self._retry(unit_id)
        return len(units)

    def _retry(self, unit_id: str) -> None:
        again = self._again.pop(unit_id)
        self._forget(unit_id)
        _log.info("%s is tried again, by request", unit_id[:_SHORT])
        again()

    def _forget(self, unit_id: str) -> None:
        self._aside.pop(unit_id, None)
        self._again.pop(unit_id, None)


def unit_id_of(task: str, name: str) -> str:
    """Return the id of a unit: the same each time, and without a word of the patient."""
    return blake2b(f"{task}\n{name}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
