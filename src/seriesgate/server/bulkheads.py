"""Bulkheads of the server: a unit of a task's work may fail, the task and all others go on.

Each long-running task has one, by its name. What goes wrong in a unit is counted and logged by its
kind and place alone; what becomes of the unit, its task decides. A task that ends all the same is
remembered, and the server is not ready from then on.

Decided in ADR 51.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained, failure_of
from seriesgate.server.registry.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

# Each task that waits for the database knows what to do about it.
_EXPECTED: tuple[type[Exception], ...] = (StoreUnavailable,)

_log = logging.getLogger(__name__)


def _count_nothing(_task: str, _failures: int) -> None:
    """Count what nobody asks for."""


class Bulkheads:
    """The bulkheads of all tasks. `count` is told of each task, and how many units have failed.

    Every method but `run` may be called from any thread.
    """

    def __init__(self, count: Callable[[str, int], None] = _count_nothing) -> None:
        self._count = count
        self._tasks: dict[str, TaskBulkhead] = {}
        self._ended: dict[str, str] = {}
        self._on_end: Callable[[], object] | None = None

    def task(self, name: str) -> TaskBulkhead:
        """Give the bulkhead of a task, always the same one."""
        if name not in self._tasks:
            self._count(name, 0)  # it is seen before anything fails
            self._tasks[name] = TaskBulkhead(name, self._count)
        return self._tasks[name]

    def names(self) -> Sequence[str]:
        """Return the names of all tasks."""
        return tuple(self._tasks)

    def ended(self, name: str, reason: str) -> None:
        """Say that a task has ended that should run for as long as the server does."""
        self._ended[name] = reason
        _log.error("%s has ended, the server is not ready until it is restarted: %s", name, reason)
        if self._on_end is not None:
            self._on_end()

    def all_ended(self) -> Mapping[str, str]:
        """Return the tasks that have ended, each with its reason."""
        return dict(self._ended)

    def run(
        self, tasks: Mapping[str, Callable[[], Coroutine[None, None, None]]]
    ) -> Sequence[asyncio.Task[None]]:
        """Start tasks that are to run until they are cancelled."""
        started = []
        for name, task in tasks.items():
            self.task(name)
            started.append(asyncio.create_task(task(), name=name))
            started[-1].add_done_callback(self._done)
        return started

    async def wait_for_an_end(self) -> str:
        """Wait until a task has ended; return which one, and why."""
        loop, has_ended = asyncio.get_running_loop(), asyncio.Event()
        self._on_end = lambda: loop.call_soon_threadsafe(has_ended.set)
        if not self._ended:
            await has_ended.wait()
        name, reason = next(iter(self._ended.items()))
        return f"{name} ended: {reason}"

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        reason = "nothing was left to do" if error is None else failure_of(error)
        self.ended(task.get_name(), reason)


class TaskBulkhead:
    """The bulkhead of one task."""

    def __init__(self, name: str, count: Callable[[str, int], None]) -> None:
        self._name = name
        self._count = count
        self._failing: dict[str, str] = {}

    @contextmanager
    def unit(
        self, unit: str = "", *, expected: tuple[type[Exception], ...] = _EXPECTED
    ) -> Iterator[Unit]:
        """Run a unit of work, which is tried again by itself; `unit` says which one, for the log.

        The first failure is logged, others of the same kind are not until it has gone well once.
        """
        under_way = Unit()
        with contained(under_way, expected):
            yield under_way
        if not under_way.failure:
            if self._failing:
                self._failing.pop(unit, None)
            return
        self.count()
        if self._failing.get(unit) != under_way.failure:
            self._failing[unit] = under_way.failure
            name = f"{self._name} ({unit})" if unit else self._name
            _log.error("%s failed and is tried again: %s", name, under_way.failure)

    def count(self) -> None:
        """Count a unit that has failed elsewhere."""
        self._count(self._name, 1)

    @contextmanager
    def unit_put_aside(self) -> Iterator[Unit]:
        """Run a unit of work that the caller puts aside, and logs, if it fails."""
        under_way = Unit()
        with contained(under_way, _EXPECTED):
            yield under_way
        if under_way.failure:
            self.count()
