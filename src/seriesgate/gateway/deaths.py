"""What the program has died of: noted before it is done, counted at the next start.

An exception is contained where it is raised. A crash of the interpreter is not: there, the next
start finds the note of what was under way. Once may be chance, for programs are killed; what it has
died of twice is done with care, and at last not at all.

Decided in ADR 50.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from seriesgate.gateway.bulkhead import unit_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seriesgate.gateway.ports import UnderWay

#: After so many deaths a unit is done without what can be left out, and after so many not at all.
WITH_CARE: Final = 2
NOT_AT_ALL: Final = 3


class Deaths:
    """Counts of deaths by unit, and the note of what is under way. For one thread at a time."""

    def __init__(self, under_way: UnderWay, counted: Mapping[str, int]) -> None:
        self._under_way = under_way
        self._counted = dict(counted)

    def of(self, task: str, name: str) -> int:
        """Return how often the program has died of a unit."""
        return self._counted.get(unit_id_of(task, name), 0) if self._counted else 0

    def forget(self, task: str, name: str) -> str | None:
        """Forget what was counted for a unit; return its id if there was anything."""
        unit_id = unit_id_of(task, name)
        return None if self._counted.pop(unit_id, None) is None else unit_id

    def allow(self, task: str, name: str) -> None:
        """Have a unit done once more, with care, that was not done at all."""
        unit_id = unit_id_of(task, name)
        if unit_id in self._counted:
            self._counted[unit_id] = WITH_CARE

    @contextmanager
    def noted(self, task: str, name: str) -> Iterator[None]:
        """Note that a unit is under way, for as long as it is."""
        self._under_way.begin(unit_id_of(task, name))
        try:
            yield
        finally:
            self._under_way.end()


class _NotNoted:
    """Implements `UnderWay` where nobody looks at the notes."""

    def begin(self, unit_id: str) -> None:
        pass

    def end(self) -> None:
        pass


#: No run has died of anything, and nothing is noted.
NO_DEATHS: Final = Deaths(_NotNoted(), {})
