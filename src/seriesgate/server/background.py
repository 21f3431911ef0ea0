"""What the server does besides answering: tasks that go on whatever goes wrong in a piece of work.

Decided in ADR 51.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

_log = logging.getLogger(__name__)


class Background:
    """The tasks of a server. For its event loop.

    `failed` is told of each piece of work in which something unexpected went wrong, by the task.
    """

    def __init__(self, failed: Callable[[str], None] = lambda _task: None) -> None:
        self._failed = failed
        self._failing: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: dict[str, str] = {}

    def begin(self, tasks: Mapping[str, Callable[[], Coroutine[None, None, None]]]) -> None:
        """Run tasks, by name, until `end`."""
        self._tasks += [asyncio.create_task(self._run(*each)) for each in tasks.items()]

    async def end(self) -> None:
        """Cancel all tasks, and wait for their ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ended(self) -> Mapping[str, str]:
        """Return the tasks that have ended although they should not, and why each did."""
        return dict(self._ended)

    @contextmanager
    def piece(self, task: str, *expected: type[Exception]) -> Iterator[Unit]:
        """Do a piece of a task's work; what goes wrong in it, and is not expected, ends there."""
        unit = Unit()
        with contained(unit, expected):
            yield unit
        if unit.failure:
            self._failed(task)
            if task not in self._failing:
                _log.error("%s failed and goes on: %s", task, unit.failure)
            self._failing.add(task)
        else:
            self._failing.discard(task)

    async def _run(self, name: str, task: Callable[[], Coroutine[None, None, None]]) -> None:
        unit = Unit()
        with contained(unit, ()):
            await task()
        self._ended[name] = unit.failure or "nothing was left to do"
        self._failed(name)
        _log.critical("%s has ended, restart the server: %s", name, self._ended[name])
